//! `tests/netavark/<case>.call`: a call of netavark or podman (the arguments in a line, an empty line, standard input) →
//! `<case>.answer`: what is understood of it, and for `setup` what is answered when it is done; or the error. `BLESS=1`
//! writes what comes out. The calls are those that netavark 1.14 makes, and those of its description of the API.

use super::cni::{are_answered, interface};
use nsnat::netavark::{self, Call};

#[test]
fn cases() {
    are_answered("tests/netavark", 15, answer);
}

fn answer(arguments: &str, input: &str) -> String {
    let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
    match netavark::read(&arguments, input) {
        Err(why) => format!("{:#}\n", netavark::refused(&why)),
        Ok(Call::Info) => "Info\n".into(),
        Ok(Call::Create(to, network)) => format!("Create by {to:?}\n{network:#}\n"),
        Ok(Call::Setup(setup)) => {
            let made = netavark::made(&interface(&setup.ifname, &setup.netns));
            format!("{setup:#?}\n{made:#}\n")
        }
        Ok(Call::Teardown(id)) => format!("Teardown of {id}\n"),
    }
}
