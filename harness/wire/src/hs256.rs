//! SHA-256 and HMAC-SHA-256, the only cryptography of the contract, and its place under the JWT library.
//!
//! Both are from RustCrypto: pure Rust, with the processor's SHA instructions where it has them, so that
//! no C library has to be built.

use std::sync::Once;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, AlgorithmFamily};
use sha2::{Digest as _, Sha256, Sha384};
use signature::{Signer, Verifier};

/// SHA-256 of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// HMAC-SHA-256 of a message; a key may have any length (RFC 2104).
#[must_use]
pub fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    keyed(key).chain_update(message).finalize().into_bytes().into()
}

/// HMAC-SHA-384 of a message: what a verifier of this contract must not take.
#[must_use]
pub fn mac_384(key: &[u8], message: &[u8]) -> [u8; 48] {
    let keyed: Hmac<Sha384> = Hmac::new_from_slice(key).expect("HMAC takes a key of any length");
    keyed.chain_update(message).finalize().into_bytes().into()
}

/// Whether `tag` is the MAC of the message, compared in constant time.
#[must_use]
pub fn mac_fits(key: &[u8], message: &[u8], tag: &[u8]) -> bool {
    keyed(key).chain_update(message).verify_slice(tag).is_ok()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// Gives the JWT library this module as its cryptography, once for the process; to be called before it
/// signs or verifies.
pub fn serve_jwt() {
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: |algorithm, key| {
            Ok(Box::new(Secret::of(*algorithm, key.family(), key.as_bytes())?))
        },
        verifier_factory: |algorithm, key| {
            Ok(Box::new(Secret::of(*algorithm, key.family(), key.try_get_as_bytes()?)?))
        },
        key_utils: KeyUtils::new_unimplemented(),
    };
    static INSTALLED: Once = Once::new();
    // Another provider that somebody installed earlier serves as well.
    INSTALLED.call_once(|| {
        let _ = PROVIDER.install_default();
    });
}

/// A secret that signs and verifies HS256.
struct Secret(Vec<u8>);

impl Secret {
    fn of(algorithm: Algorithm, family: AlgorithmFamily, bytes: &[u8]) -> Result<Self, Error> {
        if algorithm != Algorithm::HS256 {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        if family != AlgorithmFamily::Hmac {
            return Err(ErrorKind::InvalidKeyFormat.into());
        }
        Ok(Self(bytes.to_vec()))
    }
}

impl Signer<Vec<u8>> for Secret {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(mac(&self.0, message).to_vec())
    }
}

impl JwtSigner for Secret {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl Verifier<Vec<u8>> for Secret {
    fn verify(&self, message: &[u8], tag: &Vec<u8>) -> Result<(), signature::Error> {
        if mac_fits(&self.0, message, tag) { Ok(()) } else { Err(signature::Error::new()) }
    }
}

impl JwtVerifier for Secret {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::EncodingKey;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn sha256_is_fips_180s() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&sha256(b"abc")), expected);
    }

    #[test]
    fn mac_is_rfc_4231s() {
        // RFC 4231, section 4.3, and 4.7 with a key longer than a block.
        let tag = mac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex(&tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let long = mac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(hex(&long), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
        assert!(mac_fits(b"Jefe", b"what do ya want for nothing?", &tag));
        assert!(!mac_fits(b"Jefe", b"what do ya want for nothing!", &tag));
        assert!(!mac_fits(b"Jefe", b"what do ya want for nothing?", &tag[..31]));
    }

    #[test]
    fn the_longer_mac_is_rfc_4231s_too() {
        let tag = mac_384(b"Jefe", b"what do ya want for nothing?");
        let expected = "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e\
                        8e2240ca5e69e2c78b3239ecfab21649";
        assert_eq!(hex(&tag), expected);
    }

    #[test]
    fn jwt_of_another_algorithm_is_refused() {
        serve_jwt();
        let key = EncodingKey::from_secret(b"key");
        assert!(jsonwebtoken::crypto::sign(b"text", &key, Algorithm::HS512).is_err());
        assert!(jsonwebtoken::crypto::sign(b"text", &key, Algorithm::HS256).is_ok());
    }
}
