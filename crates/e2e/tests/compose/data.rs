//! Databases, caches, queues, steps before the first start.

use crate::ground::{Ground, LONG};
use testkit::{images, wait_within};

// req: CONT-28
#[test]
fn databases_queues_and_migrations() {
    let Some(mut ground) = Ground::new() else { return };
    images::postgres();
    images::redis();

    let shape = ground.shape("web-db-cache", include_str!("shapes/web-db-cache.yaml"));
    shape.start();
    assert!(shape.sh("echo PING | nc cache 6379").contains("PONG"));
    assert_eq!(shape.sh("nc -w 2 db 5432 </dev/null >/dev/null 2>&1 && echo there"), "there");
    let sql = |shape: &crate::ground::Shape, text: &str| {
        shape
            .run(&["exec", "db", "--", "psql", "-U", "app", "-tAc", text])
            .expect_code(0)
            .stdout
            .trim()
            .to_owned()
    };
    sql(&shape, "create table kept as select 42 as it");
    shape.stop();
    // Another command and no cache: the volume is the same.
    let file = include_str!("shapes/web-db-cache.yaml")
        .replace("image: postgres:15", "image: postgres:15\n    command: postgres -c max_connections=20");
    ground.write(&shape, "docker-compose.yml", &format!("name: {}\n{file}", shape.project));
    shape.start();
    assert_eq!(
        (sql(&shape, "select it from kept"), sql(&shape, "show max_connections")),
        ("42".into(), "20".into())
    );
    shape.stop();

    let shape = ground.shape("worker-queue", include_str!("shapes/worker-queue.yaml"));
    shape.start();
    assert_eq!(shape.pids("worker").len(), 2);
    shape.sh("for job in 1 2 3 4 5 6; do printf 'RPUSH jobs %s\\r\\n' $job; done | nc -w 1 queue 6379");
    wait_within(LONG, "six jobs are done", || {
        shape.sh("printf 'GET done\\r\\n' | nc -w 1 queue 6379").contains('6').then_some(())
    });
    shape.stop();

    let shape = ground.shape("migrations", include_str!("shapes/migrations.yaml"));
    shape.start();
    assert_eq!(shape.sh("cat /data/schema"), "migrated\nseeded\nserved");
    assert_eq!(shape.app("migrate")["state"], "done");

    let shape = ground.shape("health-gated", include_str!("shapes/health-gated.yaml"));
    shape.start();
    assert_eq!(shape.sh("cat /data/order"), "slow is healthy\nweb begins");
    ground.end();
}
