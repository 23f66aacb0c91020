//! The demo, as a newcomer runs it: the real binary, real kills, a verdict that has to hold.

use std::process::Command;

#[test]
fn everything_tells_the_same_story() {
    let output = Command::new(env!("CARGO_BIN_EXE_bodrelay"))
        .args(["demo", "--messages", "400", "--json"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    let report: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}\n{log}"));
    println!("seed {}", report["seed"]);
    assert!(output.status.success(), "{report:#}\n{log}");
    let figure = |key: &str| report[key].as_u64().unwrap_or_else(|| panic!("{key} in {report:#}"));
    assert_eq!((figure("lost"), figure("unexplained_flags"), figure("order_violations")), (0, 0, 0));
    assert!(figure("kills") >= 2 && figure("retried") > 0 && figure("written") >= 400, "{report:#}");
    let sum = |key: &str| -> u64 {
        report[key].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
    };
    assert_eq!(figure("written"), figure("accepted") + sum("failed") + sum("left"));
    assert_eq!(report["left"], serde_json::json!({ "TYPE_NOT_LISTED": 2 }));
    let inbound = |key: &str| report["inbound"][key].as_u64().unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!((inbound("sent"), inbound("stored"), inbound("refused"), inbound("lost")), (500, 495, 5, 0));
    assert!(inbound("duplicates") > 0, "{report:#}");
    let composed = |key: &str| report["composed"][key].as_u64().unwrap();
    assert!(composed("changes") > composed("documents") && composed("documents") >= 40, "{report:#}");
    assert_eq!((composed("refused"), composed("waiting")), (0, 0));
    assert_eq!(report["agreed"], true);
}
