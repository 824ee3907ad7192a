//! What is put into a container: secrets, configurations, folders and volumes.

use crate::ground::Ground;
use testkit::tiny::podman;

// req: CONT-07, CONT-08, SEC-32
#[test]
fn what_is_put_into_a_container_is_there() {
    let Some(mut ground) = Ground::new() else { return };

    let shape = ground.shape("secrets", include_str!("shapes/secrets.yaml"));
    ground.write(&shape, "secrets/db_password.txt", "s3cret-one");
    ground.write(&shape, "secrets/jwt_secret.txt", "s3cret-two");
    let started = shape.start();
    let modes = shape.sh("cd /run/secrets; cat db_password jwt; echo; stat -c '%a' db_password jwt; ls");
    assert_eq!(
        modes,
        "s3crets3cret-two\n".replace("s3crets3", "s3cret-ones3") + "440\n440\ndb_password\njwt"
    );
    assert_eq!(
        shape.sh_at(shape.ports[1], "ls /run/secrets 2>&1 | grep -c db_password; env | grep -c s3cret"),
        "0\n0"
    );
    let status = shape.run(&["status", "--json"]).stdout;
    let told = [shape.sh("env"), status, shape.logs("web"), started.stdout, started.stderr];
    assert!(told.iter().all(|text| !text.contains("s3cret")), "a secret is in its file alone");

    let shape = ground.shape("configs", include_str!("shapes/configs.yaml"));
    ground.write(&shape, "page.html", "from a file\n");
    shape.start();
    assert_eq!(
        shape.sh("cat /etc/site.conf /page.html; stat -c %a /page.html"),
        "inline $x\nfrom a file\n444"
    );

    let shape = ground.shape("mounts", include_str!("shapes/mounts.yaml"));
    ground.write(&shape, "pages/a.html", "bound\n");
    ground.write(&shape, "device/kept", "device\n");
    shape.start();
    assert_eq!(shape.sh("cat /pages/a.html /device/kept"), "bound\ndevice");
    assert!(shape.sh("touch /pages/b").contains("Read-only"));
    shape.sh("echo back > /device/back");
    let back = shape.folder.join("device/back");
    assert_eq!(std::fs::read_to_string(&back).unwrap(), "back\n", "it is that very folder");
    assert_eq!(shape.sh("touch /named/a /anonymous/b /scratch/c && echo done"), "done");
    assert_eq!(shape.sh_at(shape.ports[1], "ls /named; touch /named/x 2>&1 | grep -c Read-only"), "a\n1");

    let shape = ground.shape("missing-device", include_str!("shapes/mounts.yaml"));
    ground.write(&shape, "pages/a.html", "bound\n");
    let refused = shape.run(&["start"]);
    let missing = format!("{}/device", shape.folder.display());
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains(&missing), "{}", refused.stderr);
    assert!(!std::path::Path::new(&missing).exists());

    let outside = format!("e2e-outside-{}", shape.ports[0]);
    podman(&["volume", "create", &outside]);
    podman(&["network", "create", &outside]);
    let file = include_str!("shapes/external.yaml").replace("OUTSIDE", &outside);
    let shape = ground.shape("external", &file);
    shape.start();
    let said = shape.sh("echo mine > /data/x; cat /data/x");
    shape.stop();
    let kept = podman(&["volume", "rm", "-f", &outside]).0 && podman(&["network", "rm", "-f", &outside]).0;
    assert_eq!((said.as_str(), kept), ("mine", true), "what is not ours stays");
    ground.end();
}
