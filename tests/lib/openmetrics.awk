# openmetrics.awk - a strict reader of OpenMetrics text: awk -f openmetrics.awk FILE. Every fault is a line; exit 1 when there is one.
# With -v names=1 it prints the families' names instead, with chwsyncd_build as its sample is called.
function fault(what) { printf "line %d: %s: %s\n", NR, what, $0; faults++ }

function value_of(rest) { return substr(rest, 2) + 0 }

# Takes the labels apart; their text in order is in sorted_labels, the quantile in quantile.
function read_labels(text,    name, value, seen) {
    labels = ""; quantile = ""
    while (text != "") {
        if (!match(text, /^[a-zA-Z_][a-zA-Z0-9_]*="/)) { fault("no label"); return }
        name = substr(text, 1, RLENGTH - 2)
        text = substr(text, RLENGTH + 1)
        if (!match(text, /^([^"\\\n]|\\\\|\\"|\\n)*"/)) { fault("a label's value"); return }
        value = substr(text, 1, RLENGTH - 1)
        text = substr(text, RLENGTH + 1)
        if (name in seen) fault("label " name " twice")
        seen[name] = 1
        if (name == "quantile") quantile = value
        labels = labels "," name "=" value
        if (text == "") return
        if (text !~ /^,./) { fault("what stands between labels"); return }
        text = substr(text, 2)
    }
}

ended { fault("something after # EOF") }
/^# EOF$/ { ended = 1; next }
/^# TYPE / {
    if (NF != 4 || $3 !~ /^[a-zA-Z_:][a-zA-Z0-9_:]*$/) fault("a TYPE line")
    if ($4 !~ /^(gauge|counter|summary|info|histogram|stateset|unknown)$/) fault("a type")
    if ($3 in type) fault("a family twice")
    family = $3; type[family] = $4; helped = 0; sampled = 0; last_bucket = 0; whole = "missing"
    if (names) print family (type[family] == "info" ? "_info" : type[family] == "counter" ? "_total" : type[family] == "histogram" ? "_bucket" : "")
    next
}
/^# HELP / {
    if ($3 != family) fault("HELP of another family")
    if (helped || sampled) fault("HELP too late")
    if (NF < 4) fault("HELP without a text")
    if ($0 ~ /[^\\]"/ ) fault("a quotation mark that is not escaped")
    helped = 1
    next
}
/^#/ { fault("a comment of no kind"); next }
/^$/ { fault("an empty line"); next }
{
    if (!match($0, /^[a-zA-Z_:][a-zA-Z0-9_:]*/)) { fault("no name"); next }
    name = substr($0, 1, RLENGTH)
    rest = substr($0, RLENGTH + 1)
    labels = ""; quantile = ""
    if (rest ~ /^\{/) {
        end = match(rest, /\} [^}]*$/)
        if (!end) { fault("labels without an end"); next }
        read_labels(substr(rest, 2, end - 2))
        rest = substr(rest, end + 1)
    }
    if (rest !~ /^ (-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?|NaN|[-+]Inf)$/) fault("a value")
    sampled = 1
    if (!helped) fault("a family without HELP")
    wanted = family
    if (type[family] == "info") wanted = family "_info"
    if (type[family] == "counter") wanted = family "_total"
    if (type[family] == "histogram") {
        wanted = family "_bucket"
        if (name == wanted && labels !~ /,le=([0-9]+\.[0-9]+|\+Inf)$/) fault("a bucket without a bound")
        if (name == wanted) { if (value_of(rest) < last_bucket) fault("a bucket smaller than the one before"); last_bucket = value_of(rest) }
        if (name == wanted && labels ~ /\+Inf/) whole = value_of(rest)
        if (name == family "_count" && value_of(rest) != whole) fault("a count that is not the last bucket")
    }
    if (name != wanted && !((type[family] == "summary" || type[family] == "histogram") && (name == family "_sum" || name == family "_count")))
        fault("a sample of another family than " family)
    if (type[family] == "info" && rest != " 1") fault("an info that is not 1")
    if (type[family] == "summary" && name == family && (quantile == "" || quantile + 0 < 0 || quantile + 0 > 1)) fault("a quantile")
    if (type[family] != "summary" && quantile != "") fault("a quantile outside a summary")
    if ((name labels) in samples) fault("a sample twice")
    samples[name labels] = 1
}
END {
    if (!ended) { print "there is no # EOF"; faults++ }
    exit faults > 0
}
