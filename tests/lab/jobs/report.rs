//! `exec --report`.

use crate::lab::Lab;

const SLOW: &str = "[namespace.slow]\ngateway = \"$LAB_SLOW\"\n";

/// Three million bytes down, by a job whose output and status stay its own.
const JOB: &str = "bash -c 'exec 3<>/dev/tcp/$LAB_SERVICE/9999; head -c 3000000 <&3 | wc -c; exit 7'";

/// What the last line of standard error says as JSON: scope, bytes down, bytes up.
const READ: &str =
    "tail -n 1 said | jq -r '[.scope, .namespace, .down_bytes, .up_bytes, (.seconds > 0), .version] | @tsv'";

fn fields(text: &str) -> Vec<String> {
    text.lines().last().unwrap_or_default().split('\t').map(str::to_owned).collect()
}

#[test]
fn an_ephemeral_namespace_counts_the_job_alone() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let said = lab.ok(&format!(
        "cd /run/lab; nsnat -o json exec --gateway $LAB_SLOW --report -- {JOB} 2>said && exit 1 || test $? = 7; {READ}"
    ));
    let fields = fields(&said);
    let (down, up): (u64, u64) = (fields[2].parse().unwrap(), fields[3].parse().unwrap());
    assert!(said.starts_with("3000000\n") && fields[0] == "job" && fields[4] == "true", "{said}");
    // Headers are some percent; acknowledgements less.
    assert!((3_000_000..3_600_000).contains(&down) && (100..1_000_000).contains(&up), "{said}");
    lab.same(&before, "after a report");
}

#[test]
fn a_declared_one_counts_everybody_and_says_so() {
    let lab = Lab::new();
    lab.declare(SLOW);
    lab.ok("nsnat up");
    let said = lab.ok(&format!(
        "cd /run/lab; nsnat -o json exec --report slow {JOB} 2>said && exit 1 || test $? = 7; {READ}"
    ));
    let fields = fields(&said);
    assert!(fields[0] == "namespace" && fields[1] == "slow", "{said}");
    assert!((3_000_000..3_600_000).contains(&fields[2].parse::<u64>().unwrap()), "{said}");
    let text = lab.ok("nsnat exec slow --report --pid -- true 2>&1");
    assert!(
        text.starts_with("nsnat: slow: down ") && text.ends_with("(everything in the namespace meanwhile)"),
        "{text}"
    );
    // Counters belong to the host's side.
    let text = lab.ok("nsnat exec slow nsnat exec --report slow true 2>&1");
    assert!(text.contains("cannot be read from here"), "{text}");
}

#[test]
fn the_job_is_as_without_a_report() {
    let lab = Lab::new();
    lab.declare(SLOW);
    lab.ok("nsnat up");
    lab.says("nsnat exec --report slow sh -c 'kill -TERM $$' 2>/dev/null || echo $?", "143");
    lab.says("nsnat exec --report slow nonexistent 2>/dev/null || echo $?", "127");
    lab.says("echo text | nsnat exec --report slow cat 2>/dev/null", "text");
    lab.says(
        "nsnat exec --report slow sleep 50 2>/run/lab/said & await 'pgrep -fx \"sleep 50\"'; kill $!; wait $! || echo $?; grep -c 'down ' /run/lab/said",
        "143\n1",
    );
}
