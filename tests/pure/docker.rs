//! `tests/docker/<case>.call`: a call of Docker (the path of the request, an empty line, its body) → `<case>.answer`: what is
//! understood of it, and for an endpoint what is answered when it is there; or the error. `BLESS=1` writes what comes out. The
//! calls are those that Docker 20.10 and 26.1 make.

use super::cni::are_answered;
use nsnat::docker::{self, Call};
use std::net::IpAddr;

#[test]
fn cases() {
    are_answered("tests/docker", 20, answer);
}

fn answer(path: &str, body: &str) -> String {
    let call = match docker::read(path.trim(), body) {
        Ok(call) => call,
        Err(why) => return format!("{:#}\n", docker::refused(&why)),
    };
    let answer = match &call {
        Call::Activate => docker::activated(),
        Call::Capabilities => docker::capabilities(),
        Call::Details => docker::details(),
        Call::CreateEndpoint(endpoint) => docker::endpoint(&ways(), endpoint.address.is_some()),
        Call::Join { .. } => docker::joined("nsn-0123456789a", &ways()),
        _ => docker::nothing(),
    };
    format!("{call:#?}\n{answer:#}\n")
}

/// What was made for a container.
fn ways() -> [(IpAddr, IpAddr); 2] {
    [("10.213.0.4", "169.254.213.1"), ("fd6e:736e:6174:1::ad5:4", "fd6e:736e:6174:1::1")]
        .map(|(own, gateway)| (own.parse().unwrap(), gateway.parse().unwrap()))
}
