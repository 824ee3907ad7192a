//! Networks, names in them, and who cannot reach whom; images that are built.

use crate::ground::Ground;
use testkit::wait_until;

#[test]
fn services_find_each_other_and_nobody_else() {
    let Some(mut ground) = Ground::new() else { return };

    let shape = ground.shape("networks", include_str!("shapes/networks.yaml"));
    shape.start();
    // The engine's name server learns of containers a moment after they run.
    let find =
        "for name in db database pg; do nc -w 2 $name 8000 </dev/null >/dev/null 2>&1 && echo $name; done";
    wait_until("they find each other", || (shape.sh(find) == "db\ndatabase\npg").then_some(()));
    assert_eq!(shape.sh_at(shape.ports[1], "nc -w 2 db 8000 </dev/null >/dev/null 2>&1 || echo no"), "no");
    assert_eq!(shape.sh("ip -4 addr | grep -c 10.214.7.10"), "1");
    let address = shape.sh("nslookup db | grep -o '10.214.7.[0-9]*' | tail -n 1");

    let other = ground.shape("stranger", include_str!("shapes/stranger.yaml"));
    other.start();
    assert_eq!(other.sh(&format!("nc -w 2 {address} 8000 </dev/null >/dev/null 2>&1 || nc -w 2 db 8000 </dev/null >/dev/null 2>&1 || echo no")), "no");

    let shape = ground.shape("links", include_str!("shapes/links.yaml"));
    shape.start();
    assert_eq!(shape.sh("wget -q -O - http://memory:8000/; wget -q -O - http://site:8000/"), "hello\nhello");
    ground.end();
}

#[test]
fn images_are_built_as_the_file_says() {
    let Some(mut ground) = Ground::new() else { return };

    let shape = ground.shape("stages", include_str!("shapes/stages.yaml"));
    ground.write(&shape, "Dockerfile", include_str!("shapes/stages.Dockerfile"));
    // Built before anything runs, by a script that knows Compose: nothing is started by it.
    let built = shape.run(&["compose", "build"]).expect_code(0);
    assert!(built.stdout.contains("built localhost/"), "{} {}", built.stdout, built.stderr);
    assert!(shape.run(&["build", "nobody"]).stderr.contains("has no app nobody"));
    assert_eq!(shape.run(&["status"]).code, Some(3), "nothing runs");
    let merged = shape.run(&["config"]).expect_code(0);
    assert!(merged.stdout.contains(&format!("stack = \"{}\"", shape.project)), "{}", merged.stdout);
    assert_eq!(merged.stderr, "", "no notices");
    shape.start();
    assert_eq!(shape.get("/"), "made for production\n");

    let shape = ground.shape("inline", include_str!("shapes/inline.yaml"));
    ground.write(&shape, "app/page", "from the context\n");
    shape.start();
    assert_eq!(shape.get("/"), "from the context\n");
    ground.end();
}
