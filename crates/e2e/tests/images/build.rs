//! Images that are built.

use super::{BUILT, Stack, podman};
use testkit::{Sandbox, images, wait_until, wait_within};

/// `Dockerfile` of the frontend, as the team wrote it.
const FRONTEND: &str = include_str!("frontend.Dockerfile");
/// `Dockerfile` of the backend, as the team wrote it.
const BACKEND: &str = include_str!("backend.Dockerfile");

fn site(host: &str, app: &str) -> String {
    format!("[[site]]\nhosts = [\"{host}\"]\n[[site.route]]\npath = \"/*\"\napp = \"{app}\"\n")
}

/// A small frontend: what `npm run build` makes says in which mode it was built.
fn frontend(mode: &str) -> Sandbox {
    images::node();
    images::nginx();
    let sandbox = Sandbox::with_manifest(&format!(
        "stack = \"t\"\n{}[app.web]\nbuild = {{ context = \"web\", args = {{ BUILD_ENV = \"{mode}\" }} }}\nport = 3000\n",
        site("t.localhost", "web"),
    ));
    let build = r#"const fs = require("fs");
fs.mkdirSync("dist", { recursive: true });
const page = fs.readFileSync("public/index.html", "utf8") + require("./src/words.js") + " in " + process.env.NODE_ENV;
fs.writeFileSync("dist/index.html", page);
"#;
    let package = r#"{"name":"web","version":"1.0.0","scripts":{"build":"node webpack.config.js"}}"#;
    let lock = r#"{"name":"web","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"web","version":"1.0.0"}}}"#;
    let nginx = "events {}\nhttp { server { listen 3000; root /usr/share/nginx/html; } }\n";
    for (name, text) in [
        ("web/Dockerfile", FRONTEND),
        ("web/package.json", package),
        ("web/package-lock.json", lock),
        ("web/webpack.config.js", build),
        ("web/src/words.js", "module.exports = 'built';"),
        ("web/public/index.html", "<h1>web</h1>"),
        ("web/nginx.conf", nginx),
        ("web/.dockerignore", "node_modules\n*.log\n"),
        ("web/debug.log", "one"),
    ] {
        sandbox.write(name, text);
    }
    sandbox
}

// req: CONT-18
// req: CONT-20, ENV-07, ENV-10
#[test]
fn a_frontend_with_two_stages_is_built_in_the_mode_that_its_argument_says() {
    for mode in ["production", "development"] {
        let stack = Stack::up(frontend(mode), &[], "t.localhost");
        assert_eq!(stack.get("t.localhost", "/"), format!("<h1>web</h1>built in {mode}"));
        let [name] = &stack.images("web")[..] else { panic!("{:?}", stack.images("web")) };
        let command = podman(&[
            "image",
            "inspect",
            "--format",
            "{{json .Config.Cmd}} {{json .Config.ExposedPorts}}",
            name,
        ]);
        // nginx's own image says 80 besides
        assert!(
            command.starts_with(r#"["nginx","-g","daemon off;"]"#) && command.contains("3000/tcp"),
            "{command}"
        );
        let log = stack.build_log("web");
        assert!(log.contains("npm run build") && log.contains("COPY --from=builder"), "{log}");
    }
}

// req: CONT-19, ENV-32
#[test]
fn a_python_backend_is_built_and_runs_as_its_own_user() {
    images::python();
    let sandbox = Sandbox::with_manifest(&format!(
        "stack = \"t\"\n{}[app.api]\nbuild = {{ context = \"api\", timeout = \"10m\" }}\nport = 5001\n",
        site("t.localhost", "api"),
    ));
    let server = r#"import os
from flask import Flask
import helper
app = Flask(__name__)
@app.get("/")
def index():
    return f"{helper.WORD} {os.getuid()} {os.getcwd()} {os.environ['PYTHONPATH']}"
app.run(host="0.0.0.0", port=5001)
"#;
    for (name, text) in [
        ("api/Dockerfile", BACKEND),
        // What is in the image already: the build asks no index.
        ("api/requirements.txt", "flask\npsycopg2\n"),
        ("api/backend/equity_server.py", server),
        ("api/backend/helper.py", "WORD = 'api'\n"),
    ] {
        sandbox.write(name, text);
    }
    let stack = Stack::up(sandbox, &[], "t.localhost");
    assert_eq!(stack.get("t.localhost", "/"), "api 1001 /app /app/backend");
}

/// Two small servers with one Dockerfile, and one with another.
fn servers() -> Sandbox {
    images::base();
    let apps = ["one", "two", "other"];
    let sites: String = apps.iter().map(|app| site(&format!("{app}.localhost"), app)).collect();
    let build = |folder: &str| format!("build = {{ context = \"{folder}\" }}\nport = 8080\n");
    let sandbox = Sandbox::with_manifest(&format!(
        "stack = \"t\"\n{sites}[app.one]\n{same}[app.two]\n{same}[app.other]\n{}",
        build("other"),
        same = build("same"),
    ));
    let dockerfile = "FROM localhost/mainstay-test/base:1\nCOPY index.html /www/\n\
                      CMD [\"busybox\", \"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n";
    for folder in ["same", "other"] {
        sandbox.write(&format!("{folder}/Dockerfile"), dockerfile);
        sandbox.write(&format!("{folder}/index.html"), folder);
        sandbox.write(&format!("{folder}/.dockerignore"), "*.log\n");
    }
    sandbox
}

// req: CONT-24
#[test]
fn a_reload_builds_what_changed_and_replaces_only_that() {
    let stack = Stack::up(servers(), &[], "other.localhost");
    for app in ["one", "two"] {
        wait_within(BUILT, "the others", || {
            (stack.get(&format!("{app}.localhost"), "/") == "same").then_some(())
        });
    }
    let of_one = stack.build_log("one") + &stack.build_log("two");
    assert_eq!(of_one.matches("another app of the stack has built the same").count(), 1, "{of_one}");
    let before = ["one", "two", "other"].map(|app| stack.pids(app));

    let nothing = stack.sandbox.run(["reload"]).expect_code(0);
    assert!(nothing.stdout.contains("no change"), "{nothing:?}");
    stack.sandbox.write("same/left.log", "an ignored file");
    let nothing = stack.sandbox.run(["reload"]).expect_code(0);
    assert!(nothing.stdout.contains("no change"), "{nothing:?}");

    stack.sandbox.write("other/index.html", "changed");
    stack.sandbox.run(["reload"]).expect_code(0);
    wait_within(BUILT, "the changed page", || (stack.get("other.localhost", "/") == "changed").then_some(()));
    assert_eq!(stack.pids("one"), before[0]);
    assert_eq!(stack.pids("two"), before[1]);
    wait_until("one instance of the changed app", || {
        let now = stack.pids("other");
        (now.len() == 1 && now != before[2]).then_some(())
    });
}

#[test]
fn a_build_that_fails_leaves_what_runs_and_says_what_the_engine_said() {
    let stack = Stack::up(servers(), &[], "other.localhost");
    let dockerfile = "FROM localhost/mainstay-test/base:1\nARG TOKEN\nRUN echo a word of $TOKEN && exit 7\n";
    stack.sandbox.write("other/Dockerfile", dockerfile);
    let manifest = std::fs::read_to_string(stack.sandbox.stack().join("mainstay.toml")).unwrap();
    let with = r#"context = "other", args = { TOKEN = { secret = "h0nestly-hidden" } }"#;
    stack.sandbox.write("mainstay.toml", manifest.replace(r#"context = "other""#, with));
    let reload = stack.sandbox.run(["reload"]);
    let said = format!("{}{}", reload.stdout, reload.stderr);
    assert_ne!(reload.code, Some(0), "{said}");
    assert!(said.contains("a word of [secret]") && said.contains("exit 7"), "{said}");
    assert!(
        !said.contains("h0nestly-hidden") && !stack.build_log("other").contains("h0nestly-hidden"),
        "{said}"
    );
    assert_eq!(stack.get("other.localhost", "/"), "other");
}
