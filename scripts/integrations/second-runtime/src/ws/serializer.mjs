// Serializers of the two framings. A message is {joinRef, ref, topic, event, payload}; refs are
// echoed as they came. What cannot be read throws, and the socket is closed for it.

import { canonicalJson } from '../json.mjs';

const checked = (message) => {
  if (typeof message.topic !== 'string' || typeof message.event !== 'string') {
    throw new Error('a message needs a topic and an event');
  }
  return message;
};

// The binary push of Phoenix: five length bytes (the first is the kind), four texts, raw data.
function decodeBinary(data) {
  if (data.length < 5 || data[0] !== 0) throw new Error('not a binary push');
  const sizes = [data[1], data[2], data[3], data[4]];
  let at = 5;
  const [joinRef, ref, topic, event] = sizes.map((size) => {
    if (at + size > data.length) throw new Error('a binary push is cut short');
    at += size;
    return data.toString('utf8', at - size, at);
  });
  return checked({ joinRef: joinRef || null, ref: ref || null, topic, event, payload: data.subarray(at) });
}

const reply = (status, response) => ({ response, status });

const V2 = {
  pushKey: (joinRef) => JSON.stringify(joinRef),

  decode(data, isBinary) {
    if (isBinary) return decodeBinary(data);
    const frame = JSON.parse(data.toString('utf8'));
    if (!Array.isArray(frame) || frame.length !== 5) throw new Error('a frame has five members');
    const [joinRef, ref, topic, event, payload] = frame;
    return checked({ joinRef, ref, topic, event, payload });
  },

  push: (joinRef, ref, event, payloadText, topic = 'sync:v1') => `[${JSON.stringify(joinRef)},`
    + `${JSON.stringify(ref)},${JSON.stringify(topic)},"${event}",${payloadText}]`,

  reply: (joinRef, ref, topic, status, response) => V2.push(
    joinRef, ref, 'phx_reply', canonicalJson(reply(status, response)), topic,
  ),
};

const V1 = {
  // V1 pushes carry no join_ref, so all its sockets share one encoding.
  pushKey: () => 'v1',

  decode(data, isBinary) {
    if (isBinary) throw new Error('version 1 has no binary frames');
    const frame = JSON.parse(data.toString('utf8'));
    if (frame === null || typeof frame !== 'object') throw new Error('a frame is an object');
    if (!('payload' in frame) || !('ref' in frame)) throw new Error('a frame needs payload and ref');
    return checked({
      joinRef: frame.join_ref ?? null, ref: frame.ref, topic: frame.topic,
      event: frame.event, payload: frame.payload,
    });
  },

  push: (joinRef, ref, event, payloadText, topic = 'sync:v1') => `{"event":"${event}",`
    + `"payload":${payloadText},"ref":${JSON.stringify(ref)},"topic":${JSON.stringify(topic)}}`,

  reply: (joinRef, ref, topic, status, response) => V1.push(
    joinRef, ref, 'phx_reply', canonicalJson(reply(status, response)), topic,
  ),
};

// The serializer of a `vsn` parameter; undefined when the version is not served.
export const serializerFor = (vsn) => ({ '1.0.0': V1, '2.0.0': V2 })[vsn ?? '1.0.0'];
