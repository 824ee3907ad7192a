//! How a file is put together: variables, files of them, anchors, overrides, several files, `extends`, `include`, profiles, commands.

use crate::ground::Ground;

#[test]
fn files_are_put_together() {
    let Some(mut ground) = Ground::new() else { return };

    let shape = ground.shape("variables", include_str!("shapes/variables.yaml"));
    shape.start();
    let said = shape.sh("echo \"$UNSET|$EMPTY|$SET|$NESTED|$LITERAL|$TAG\"");
    assert_eq!(said, "default|default||deep|$HOME|1");

    let shape = ground.shape("env-file", include_str!("shapes/env-file.yaml"));
    ground.write(&shape, "one.env", "ONE=file\nBOTH=first\nQUOTED=\"a b\" # comment\n");
    ground.write(&shape, "two.env", "BOTH=second\nOWN=file\n");
    shape.start();
    assert_eq!(shape.sh("echo \"$ONE|$BOTH|$QUOTED|$OWN|$EMPTY\""), "file|second|a b|own|");

    let shape = ground.shape("anchors", include_str!("shapes/anchors.yaml"));
    shape.start();
    assert_eq!(shape.sh("echo $REGION $NAME"), "eu a");
    assert_eq!(shape.sh_at(shape.ports[1], "echo $REGION $NAME"), "eu");

    let shape = ground.shape("override", include_str!("shapes/extends.yaml"));
    ground.write(
        &shape,
        "docker-compose.override.yml",
        "services: { web: { environment: { STAGE: override } } }\n",
    );
    shape.start();
    assert_eq!(shape.sh("echo $STAGE $KEPT"), "override yes");

    let shape = ground.shape("several", include_str!("shapes/extends.yaml"));
    let production = "services: { web: { environment: { STAGE: production }, volumes: ['data:/data'] } }\nvolumes: { data: }\n";
    ground.write(&shape, "production.yml", production);
    shape.start_with(&["-f", "docker-compose.yml", "-f", "production.yml"]);
    assert_eq!(shape.sh("echo $STAGE $KEPT; mount | grep -c ' /data '"), "production yes\n1");

    let shape = ground.shape("include", include_str!("shapes/include.yaml"));
    ground.write(&shape, "parts/cache.yaml", "services: { cache: { image: redis:7-alpine } }\n");
    shape.start();
    assert!(shape.sh("echo PING | nc cache 6379").contains("PONG"));

    let shape = ground.shape("commands", include_str!("shapes/commands.yaml"));
    shape.start();
    assert_eq!(shape.sh("cat /tmp/said"), "on commands");
    assert_eq!(shape.sh_at(shape.ports[1], "readlink /proc/1/cwd; cat /proc/1/comm"), "/www\nhttpd");

    let shape = ground.shape("extensions", include_str!("shapes/extensions.yaml"));
    shape.start();
    assert_eq!(shape.get("/"), "hello\n");
    ground.end();
}

// req: CONT-22
#[test]
fn profiles_choose_what_starts() {
    let Some(mut ground) = Ground::new() else { return };
    let names = |shape: &crate::ground::Shape| -> Vec<String> {
        shape.apps().iter().map(|app| app["name"].as_str().unwrap().to_owned()).collect()
    };
    let shape = ground.shape("profiles", include_str!("shapes/profiles.yaml"));
    shape.start();
    assert_eq!(names(&shape), ["web"]);
    shape.start_with(&["--profile", "app"]);
    assert_eq!(names(&shape), ["app", "web"]);
    shape.start_with(&["--profile", "traefik", "--profile", "app"]);
    assert_eq!(names(&shape), ["app", "proxy", "web"]);
    ground.end();
}
