package dnscheck

import (
	"slices"

	"github.com/panelmail/panelmail/dnstmpl"
)

// keepSPF completes the SPF record that is published, if there is one and one is wanted.
// Where it lets everything through that is wanted, records is want without SPF; otherwise
// text is what is to be published.
func (n *wantedName) keepSPF(want, have []dnstmpl.Record) (records []dnstmpl.Record, text string) {
	published, wanted := spfOf(have), spfOf(want)
	if len(published) != 1 || len(wanted) != 1 || n.completeSPF == nil {
		return want, ""
	}
	text = n.completeSPF(published[0], wanted[0])
	if text == published[0] {
		return slices.DeleteFunc(slices.Clone(want), isSPFRecord), ""
	}
	return want, text
}

// remembered is a function that does each pair of texts once: most servers publish the
// same, and complete asks the DNS about it.
func remembered(complete func(published, wanted string) string) func(published, wanted string) string {
	done := map[[2]string]string{}
	return func(published, wanted string) string {
		pair := [2]string{published, wanted}
		text, again := done[pair]
		if !again {
			text = complete(published, wanted)
			done[pair] = text
		}
		return text
	}
}

// spfOf are the texts of SPF records.
func spfOf(records []dnstmpl.Record) (texts []string) {
	for _, r := range records {
		if isSPFRecord(r) {
			texts = append(texts, r.Value.(dnstmpl.TXT).Text)
		}
	}
	return texts
}

func isSPFRecord(r dnstmpl.Record) bool {
	text, ok := r.Value.(dnstmpl.TXT)
	return ok && isSPF(text.Text)
}
