//! Hundreds of ephemeral namespaces at the same time, many of them killed.

use crate::lab::Lab;

/// How many, unless `NSNAT_JOBS` says otherwise. They take turns at the lock, so this is mostly waiting.
const JOBS: &str = "250";

/// Every third is killed at a random moment of its life; each asks who it is, by one of two uplinks.
const CROWD: &str = r#"
    mkdir /run/lab/crowd; cd /run/lab/crowd
    RANDOM=$SEED
    for ((i = 0; i < JOBS; i++)); do
        if ((i % 2)); then gateway=$LAB_SLOW; else gateway=$LAB_THIRD; fi
        nsnat exec --gateway $gateway -- whoami4 >out.$i 2>err.$i &
        job[i]=$!
    done
    for ((i = 0; i < JOBS; i += 3)); do
        ((RANDOM % 4)) || sleep 0.0$((RANDOM % 10))
        kill -9 ${job[i]} 2>/dev/null && killed[i]=1
    done
    wrong=0
    for ((i = 0; i < JOBS; i++)); do
        status=0; wait ${job[i]} || status=$?
        [ -z "${killed[i]-}" ] || continue
        if ((i % 2)); then expected=$LAB_WAN_SLOW; else expected=$LAB_WAN_THIRD; fi
        [ $status = 0 ] && [ "$(cat out.$i)" = $expected ] && continue
        wrong=$((wrong + 1)); echo "job $i: status $status, $(cat out.$i err.$i), not $expected"
    done
    # Commands whose nsnat was killed end by themselves.
    while nsnat status -o json | jq -e '[.namespaces[].processes] | add > 0' >/dev/null; do sleep 0.1; done
    echo "killed ${#killed[@]}, wrong $wrong"
"#;

#[test]
fn hundreds_of_ephemeral_namespaces_many_killed() {
    let jobs = std::env::var("NSNAT_JOBS").unwrap_or_else(|_| JOBS.into());
    let lab = Lab::new();
    let before = lab.snapshot();
    let told = lab.ok(&format!("JOBS={jobs}; SEED=$$; {CROWD}"));
    let last = told.lines().last().unwrap_or_default();
    assert!(last.ends_with("wrong 0"), "a survivor failed, or left by another's uplink:\n{told}");
    assert!(!last.starts_with("killed 0,"), "none was killed: the test shows nothing\n{told}");
    // The next nsnat that changes anything takes down what is left, and says nothing of it.
    assert_eq!(lab.ok("nsnat exec --gateway $LAB_SLOW -- true"), "");
    lab.same(&before, "after a crowd of ephemeral namespaces");
}

/// A container with the host's network: its nsnat does not see whether the owner of a namespace lives.
#[test]
fn owners_in_another_process_space_are_left_alone() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.ok("nsnat exec --gateway $LAB_SLOW -- bash -c 'whoami4; touch /run/lab/first; until [ -e /run/lab/go ]; do sleep 0.02; done; whoami4' >/run/lab/said 2>&1 &
        until [ -e /run/lab/first ]; do sleep 0.02; done
        unshare -pf --mount-proc nsnat exec --gateway $LAB_THIRD -- whoami4 >/run/lab/other
        touch /run/lab/go; wait");
    lab.says("cat /run/lab/said /run/lab/other", "203.0.113.254\n203.0.113.254\n203.0.113.3");
    lab.same(&before, "after both");
}
