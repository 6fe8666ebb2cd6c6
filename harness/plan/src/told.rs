//! A plan as it may be told: on a screen, in evidence. What whoever wrote it is free to write may have a secret in it,
//! above all the words of commands, which variables of the environment are filled into.

use crate::model::{BuildSource, Extra, ExtraValue, Fault, Mint, Plan, Secret};

impl Plan {
    /// The same plan with `tell` applied to every text that means nothing to the harness itself. It is to be told, not
    /// to be run.
    #[must_use]
    pub fn told(&self, tell: &dyn Fn(&str) -> String) -> Self {
        let mut told = self.clone();
        let words = |words: &mut Vec<String>| words.iter_mut().for_each(|word| *word = tell(word));
        let text = |text: &mut String| *text = tell(text);
        let secret = |secret: &mut Secret| {
            if let Secret::Command(command) = secret {
                words(command);
            }
        };
        told.description.iter_mut().for_each(text);
        let target = &mut told.target;
        text(&mut target.socket_path);
        if !target.socket_path.starts_with('/') {
            // It is read again, as a path.
            target.socket_path.insert(0, '/');
        }
        target.client_build_id.iter_mut().for_each(text);
        if let Some(BuildSource::Command(command)) = &mut target.build {
            words(command);
        }
        words(&mut target.command);
        target.admin_token.iter_mut().chain(&mut target.command_secret).for_each(secret);
        for Extra { value, .. } in target.headers.iter_mut().chain(&mut target.query) {
            match value {
                ExtraValue::Text(value) => text(value),
                ExtraValue::Secret(value) => secret(value),
            }
        }
        match &mut told.auth.mint {
            Mint::Hs256 { secret: key, .. } => secret(key),
            Mint::Control { session_token } => session_token.iter_mut().for_each(secret),
            Mint::Static { token } => secret(token),
        }
        for Fault { kind, .. } in told.phases.iter_mut().flat_map(|phase| &mut phase.faults) {
            *kind = kind.told(tell);
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use crate::resolved::to_toml;
    use crate::testing::{Load, edited};

    /// Nobody has to look for the places: all that is written out of a plan is searched.
    #[test]
    fn no_text_of_a_plan_is_told_as_it_is() {
        let target = r#"kind = "url"
url = "http://127.0.0.1:4000"
socket_path = "/hunter2"
client_build_id = "hunter2"
build_command = ["say", "--key=hunter2"]
admin_token = { command = ["tell", "hunter2"] }
command_secret = { command = ["tell", "hunter2"] }
headers = { x-route = "a hunter2" }
query = { route = "hunter2" }"#;
        let hook = r#"type = "hook"
at = "2s"
duration = "1s"
attributes = { command = ["a", "hunter2"], undo = ["b", "hunter2"], check = ["c", "hunter2"] }"#;
        let disconnect = "type = \"disconnect\"\nat = \"2s\"\nmode = \"all\"\nattributes = { style = \"reset\" }";
        let text = edited(&[
            ("seed = 7", "seed = 7\ndescription = \"of hunter2\""),
            ("kind = \"reference\"", target),
            (
                "mint = \"hs256\"",
                "mint = \"hs256\"\nsecret = { command = [\"tell\", \"hunter2\"] }",
            ),
            (disconnect, hook),
        ]);
        let plan = Load::of(&text).plan();
        assert_eq!(to_toml(&plan).matches("hunter2").count(), 12);
        let told = plan.told(&|text| text.replace("hunter2", "[redacted]"));
        let written = to_toml(&told);
        assert!(!written.contains("hunter2"), "{written}");
        assert_eq!(written.matches("[redacted]").count(), 12, "{written}");
        // What is told can be read again, and is the same but for that.
        assert_eq!(to_toml(&Load::of(&written).plan()), written);
    }
}
