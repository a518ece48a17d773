# The bill of materials (CycloneDX 1.5) out of Cargo.lock and the lines of `cargo tree`: "NAME vVERSION<tab>LICENCE".
def checksums: [$lock | scan("name = \"([^\"]+)\"\nversion = \"([^\"]+)\"\nsource = \"[^\"]+\"\nchecksum = \"([^\"]+)\"")
  | {key: "\(.[0]) \(.[1])", value: .[2]}] | from_entries;
def licence: if . == "" then empty else [{expression: gsub("/"; " OR ")}] end;
checksums as $checksums
| [$crates | split("\n")[] | capture("^(?<name>\\S+) v(?<version>\\S+)\t(?<licence>.*)$")] as $all
| {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      timestamp: ($time | todate),
      component: {type: "application", "bom-ref": "nsnat", name: "nsnat", version: $version, purl: "pkg:cargo/nsnat@\($version)"}
    },
    components: [$all[] | select(.name != "nsnat") | "pkg:cargo/\(.name)@\(.version)" as $purl | {
      type: "library",
      "bom-ref": $purl,
      name,
      version,
      licenses: (.licence | licence),
      hashes: [{alg: "SHA-256", content: $checksums["\(.name) \(.version)"]}],
      purl: $purl
    }]
  }
