package dnscheck

import (
	"slices"
	"strings"

	"github.com/panelmail/panelmail/dnstmpl"
)

// keepDMARC puts what is wanted of a DMARC record into what is published: its tags stay,
// the policy is never weakened, and reports go where either wants them (RFC 7489 section
// 6.3). Of several records, of which none counts, the strictest stays, with the reports
// of the others. What cannot be used is replaced.
func keepDMARC(want, have []dnstmpl.Record) []dnstmpl.Record {
	var published []string
	for _, r := range have {
		if text, ok := r.Value.(dnstmpl.TXT); ok && isDMARC(text.Text) {
			published = append(published, text.Text)
		}
	}
	at := slices.IndexFunc(want, func(r dnstmpl.Record) bool {
		text, ok := r.Value.(dnstmpl.TXT)
		return ok && isDMARC(text.Text)
	})
	if at < 0 || len(published) == 0 {
		return want
	}
	strictest := slices.MaxFunc(published, func(a, b string) int { return policyOf(a) - policyOf(b) })
	text := strictest
	for _, other := range published {
		if other != strictest {
			text = mergeReports(text, other)
		}
	}
	want = slices.Clone(want)
	want[at].Value = dnstmpl.TXT{Text: mergeDMARC(text, want[at].Value.(dnstmpl.TXT).Text)}
	return want
}

func isDMARC(text string) bool {
	name, value, _ := strings.Cut(text, "=")
	version := strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune("; \t", r) })
	return strings.EqualFold(strings.TrimSpace(name), "v") && len(version) > 0 && strings.EqualFold(version[0], "DMARC1")
}

// policyOf is the strength of the policy of a record; -1 for one that cannot be used.
func policyOf(text string) int {
	tags, _ := dmarcTags(text)
	return strength(tags.value("p"))
}

// mergeDMARC is published with what wanted asks for in it: published itself if that is
// there already.
func mergeDMARC(published, wanted string) string {
	have, changed := dmarcTags(published)
	want := tagsOf(wanted)
	if strength(have.value("p")) < 0 {
		return wanted
	}
	if strength(want.value("p")) > strength(have.value("p")) {
		have.set("p", want.value("p"))
		have.set("pct", want.value("pct")) // a share of the policy that was
		changed = true
	}
	if have.value("sp") != "" && strength(want.value("sp")) > strength(have.value("sp")) {
		have.set("sp", want.value("sp"))
		changed = true
	}
	for _, name := range []string{"adkim", "aspf", "fo", "rf", "ri"} {
		if w := want.value(name); have.value(name) == "" && !strings.EqualFold(w, dmarcDefault(name)) {
			have.set(name, w)
			changed = changed || w != ""
		}
	}
	changed = have.addReports(want) || changed
	if !changed {
		return published
	}
	return have.String()
}

// mergeReports is a DMARC record with the addresses for reports of another.
func mergeReports(text, other string) string {
	tags := tagsOf(text)
	if !tags.addReports(tagsOf(other)) {
		return text
	}
	return tags.String()
}

// addReports adds the addresses for reports of another record, and says whether any was
// missing.
func (l *tagList) addReports(other tagList) (changed bool) {
	for _, name := range []string{"rua", "ruf"} {
		uris := splitList(l.value(name))
		for _, uri := range splitList(other.value(name)) {
			if !slices.ContainsFunc(uris, func(u string) bool { return strings.EqualFold(u, uri) }) {
				uris = append(uris, uri)
				changed = true
			}
		}
		l.set(name, strings.Join(uris, ","))
	}
	return changed
}

// dmarcDefault is what a tag says where it is not there (RFC 7489 section 6.3).
func dmarcDefault(name string) string {
	return map[string]string{"adkim": "r", "aspf": "r", "fo": "0", "rf": "afrf", "ri": "86400"}[name]
}

// dmarcTags are the tags of a published record in a form that receivers take, and
// whether that is another than the published one: the version in capitals, each tag
// once, and a policy, which is none where there is none to be read and reports are asked
// for (RFC 7489 section 6.6.3).
func dmarcTags(text string) (tags tagList, repaired bool) {
	all := tagsOf(text)
	for _, t := range all {
		old := tags.value(t[0])
		repaired = repaired || slices.ContainsFunc(tags, func(k [2]string) bool { return k[0] == t[0] })
		if old == "" || t[0] == "p" && strength(t[1]) > strength(old) {
			tags.set(t[0], t[1])
		}
	}
	if len(tags) > 0 && tags[0][1] != "DMARC1" {
		tags[0][1], repaired = "DMARC1", true
	}
	if strength(tags.value("p")) < 0 && tags.value("rua") != "" {
		tags.set("p", "")
		tags, repaired = slices.Insert(tags, 1, [2]string{"p", "none"}), true
	}
	return tags, repaired
}

// strength orders policies; -1 is none of them.
func strength(policy string) int {
	return slices.Index([]string{"none", "quarantine", "reject"}, strings.ToLower(policy))
}

func splitList(list string) (items []string) {
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// A tagList is name=value pairs in their order.
type tagList [][2]string

func tagsOf(text string) (list tagList) {
	for part := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(part, "=")
		if name = strings.TrimSpace(name); ok && name != "" {
			list = append(list, [2]string{strings.ToLower(name), strings.TrimSpace(value)})
		}
	}
	return list
}

func (l tagList) value(name string) string {
	for _, t := range l {
		if t[0] == name {
			return t[1]
		}
	}
	return ""
}

// set sets a tag; an empty value takes it out, and adds none.
func (l *tagList) set(name, value string) {
	at := slices.IndexFunc(*l, func(t [2]string) bool { return t[0] == name })
	switch {
	case at >= 0 && value == "":
		*l = slices.Delete(*l, at, at+1)
	case at >= 0:
		(*l)[at][1] = value
	case value != "":
		*l = append(*l, [2]string{name, value})
	}
}

// String is the list as a record has it.
func (l tagList) String() string {
	parts := make([]string, len(l))
	for i, t := range l {
		parts[i] = t[0] + "=" + t[1]
	}
	return strings.Join(parts, "; ")
}
