//! What is answered while an app does not run, and how a request ends whose body nobody wants.

use crate::failures::is_502;
use testkit::backend::Backend;
use testkit::{FrontDoor, HOST};

const APP: &str = "import http.server, os
server = http.server.HTTPServer((os.environ['HOST'], int(os.environ['PORT'])), http.server.SimpleHTTPRequestHandler)
server.serve_forever()";

// req: EDGE-13
#[test]
fn a_stopped_app_is_502_and_logged_with_name_and_cause() {
    let manifest = format!(
        "[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\napp = \"web\"\n[app.web]\nrun = \"python3 -S app.py\"\n"
    );
    let door = FrontDoor::open(&manifest, &[("app.py", APP), ("x", "there")]);
    assert_eq!(door.get("/x").status, 200);
    door.sandbox.run(["stop", "web"]).expect_code(0);
    is_502(&door, "/x", "web", "not running");
}

/// RFC 9110 section 10.1.1, RFC 9112 section 9.6.
#[test]
fn a_final_answer_instead_of_100_says_that_the_connection_ends() {
    let backend = Backend::start(|request, peer| {
        peer.arrived(request);
        peer.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")?;
        peer.close()
    });
    let door = FrontDoor::to(&[&crate::proxy(&backend)]);
    let mut connection = door.connect();
    connection.send(format!(
        "POST /x HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    ));
    let answer = connection.response();
    assert_eq!((answer.status, answer.text().as_str()), (401, "no"));
    assert!(connection.is_closed(), "the body that was never sent would be taken for a request");
    assert_eq!(answer.header("connection"), Some("close"));
}
