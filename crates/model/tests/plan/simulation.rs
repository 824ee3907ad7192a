//! Random disturbances in a simulated host, and peace after them.

use crate::world::{Behaviour, Happening, Order, World};
use model::plan::{AppState, SlotState, app_state, needs_ready, plan, slot_state};
use proptest::prelude::*;
use std::time::Duration;

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    let ready_after = prop_oneof![
        4 => millis(0..3000).prop_map(Some),
        1 => millis(4000..7000).prop_map(Some), // on both sides of the start period
        1 => Just(None),
    ];
    // Shorter than `min_uptime`: sooner or later such a slot is failed.
    let lives = prop_oneof![4 => Just(None), 1 => millis(0..9000).prop_map(Some)];
    (ready_after, lives, 0..2_i32).prop_map(|(ready_after, lives, status)| Behaviour {
        ready_after,
        lives,
        status,
    })
}

fn order() -> impl Strategy<Value = Order> {
    let app = || 0..5_usize;
    prop_oneof![
        4 => (app(), 0..8_usize).prop_map(|(app, pick)| Order::Crash { app, pick }),
        2 => (app(), 0..8_usize, millis(100..20_000)).prop_map(|(app, pick, lasts)| Order::Sick { app, pick, lasts }),
        5 => (app(), 0..8_usize).prop_map(|(app, pick)| Order::Wear { app, pick }),
        1 => (app(), any::<bool>()).prop_map(|(app, is_tight)| Order::Tight { app, is_tight }),
        4 => (app(), behaviour()).prop_map(|(app, behaviour)| Order::Reload { app, behaviour }),
        3 => app().prop_map(|app| Order::Restart { app }),
        2 => (app(), 1..5_u32).prop_map(|(app, instances)| Order::Scale { app, instances }),
        1 => app().prop_map(|app| Order::Stop { app }),
        2 => app().prop_map(|app| Order::Start { app }),
        1 => Just(Order::StopAll),
        2 => Just(Order::StartAll),
        6 => (app(), 1..20_u32, millis(0..15_000)).prop_map(|(app, count, last)| Order::Requests { app, count, last }),
        2 => millis(0..4000).prop_map(|back_after| Order::KeeperDies { back_after }),
    ]
}

/// What is desired is what is there, except for what has failed or waits for what has failed.
fn at_peace(world: &World) {
    let desired = world.desired();
    let left = plan(&desired, &world.observed, world.now);
    assert_eq!((left.steps, left.next), (vec![], None), "not at rest");
    for app in &world.apps {
        let wanted = &desired.apps[&app.id];
        let state = app_state(&desired, &world.observed, &app.id);
        let living: Vec<_> = world.processes.iter().filter(|(id, _)| id.app == app.id).collect();
        let current = living.iter().filter(|(_, process)| process.spec == wanted.spec && process.up).count();
        if wanted.instances == 0 {
            assert_eq!((living.len(), state), (0, AppState::Stopped), "{}", app.id);
            continue;
        }
        let failed = (1..20)
            .any(|slot| slot_state(wanted, &world.observed, &app.id, slot, world.now) == SlotState::Failed);
        if failed || !needs_ready(&desired, &world.observed, &app.id) {
            assert_ne!(state, AppState::Starting, "{}", app.id);
            continue;
        }
        assert_eq!(app.candidate, None, "{}: neither committed nor dropped", app.id);
        let is_done = |slot: &u32| {
            slot_state(wanted, &world.observed, &app.id, *slot, world.now) == SlotState::Complete
        };
        let left = (wanted.instances as usize).saturating_sub((1..20).filter(is_done).count());
        let expected = (left, left, if left == 0 { AppState::Complete } else { AppState::Ready });
        assert_eq!((current, living.len(), state), expected, "{}", app.id);
        assert!(living.iter().all(|(_, process)| !process.worn), "{}: not replaced", app.id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_invariants_hold_and_peace_returns(
        seed in any::<u64>(),
        orders in prop::collection::vec((millis(0..6000), order()), 1..40),
    ) {
        let mut world = World::new(seed);
        let mut at = Duration::ZERO;
        for (after, order) in orders {
            at += after;
            world.later(at, Happening::Order(order));
        }
        world.run(at);
        world.run(at + Duration::from_secs(600));
        at_peace(&world);
    }
}
