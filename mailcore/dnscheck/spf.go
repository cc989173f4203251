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
