package dnscheck

import (
	"slices"
	"strings"

	"github.com/panelmail/panelmail/dnstmpl"
)

// keepDMARC puts what is wanted of a DMARC record into the one that is published, if
// that is one and no more: its tags stay, the policy is never weakened, and reports go
// where either wants them (RFC 7489 section 6.3). A published record that cannot be used
// is replaced.
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
	if at < 0 || len(published) != 1 {
		return want
	}
	want = slices.Clone(want)
	want[at].Value = dnstmpl.TXT{Text: mergeDMARC(published[0], want[at].Value.(dnstmpl.TXT).Text)}
	return want
}

func isDMARC(text string) bool {
	version, _, _ := strings.Cut(text, ";")
	return strings.EqualFold(strings.ReplaceAll(version, " ", ""), "v=DMARC1")
}

// mergeDMARC is published with what wanted asks for in it: published itself if that is
// there already.
func mergeDMARC(published, wanted string) string {
	have, want := tagsOf(published), tagsOf(wanted)
	if strength(have.value("p")) < 0 {
		return wanted
	}
	changed := false
	for _, name := range []string{"p", "sp"} {
		if strength(want.value(name)) > strength(have.value(name)) && (name == "p" || have.value(name) != "") {
			have.set(name, want.value(name))
			changed = true
		}
	}
	for _, name := range []string{"rua", "ruf"} {
		uris := splitList(have.value(name))
		for _, uri := range splitList(want.value(name)) {
			if !slices.ContainsFunc(uris, func(u string) bool { return strings.EqualFold(u, uri) }) {
				uris = append(uris, uri)
				changed = true
			}
		}
		have.set(name, strings.Join(uris, ","))
	}
	if !changed {
		return published
	}
	return have.String()
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
