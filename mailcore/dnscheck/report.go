package dnscheck

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/transport"
)

// A Report is what [Check] has found. Names are as DNS has them in text: lower case,
// with the final dot.
type Report struct {
	Zone string `json:"zone"`

	// Operations are what to do, in an order in which each is allowed.
	Operations []Operation `json:"operations"`

	// Waiting are the names that are right on some servers and not on all.
	Waiting []Waiting `json:"waiting,omitempty"`

	// Troubles are what is wrong with servers.
	Troubles []Trouble `json:"troubles,omitempty"`

	// Unknown are the names that no server had an answer about.
	Unknown []string `json:"unknown,omitempty"`

	// Right are the names with nothing to do.
	Right []string `json:"right,omitempty"`

	// Faults are why SPF records count for nothing, though they say what is wanted:
	// those that are published, and those that the operations make.
	Faults dnstmpl.Problems `json:"faults,omitempty"`

	// Recursive says that no authoritative server could be found: what the recursive
	// servers say was compared, which may be old.
	Recursive bool `json:"recursive,omitempty"`

	published []dnstmpl.Record // text at names with nothing to do, as it is
}

// Done reports whether nothing has to be done, by anybody.
func (r Report) Done() bool {
	for _, t := range r.Troubles {
		if t.Status != transport.StatusNoRoute {
			return false
		}
	}
	return len(r.Operations)+len(r.Waiting)+len(r.Unknown)+len(r.Faults) == 0
}

// After is what was wanted with what is published beside it in the same records, as in
// an SPF record of the customer's: the zone that there is after the operations.
func (r Report) After(want dnstmpl.Zone) dnstmpl.Zone {
	want.Records = slices.Clone(want.Records)
	there := slices.Clone(r.published)
	for _, o := range r.Operations {
		there = append(there, o.Want)
	}
	for _, p := range there {
		text, ok := p.Value.(dnstmpl.TXT)
		for i, w := range want.Records {
			old, also := w.Value.(dnstmpl.TXT)
			if ok && also && w.Name == p.Name && (isSPF(text.Text) && isSPF(old.Text) || isDMARC(text.Text) && isDMARC(old.Text)) {
				want.Records[i].Value = text
			}
		}
	}
	return want
}

// An Operation is a change of what is published.
type Operation struct {
	dnstmpl.Change

	// Alias is the name that leads to the record by CNAME; empty if none does.
	Alias string `json:"alias,omitempty"`

	// Servers are those that it is needed on, where the servers of a name are wrong in
	// different ways; empty: all.
	Servers []string `json:"servers,omitempty"`
}

// A Waiting is a name that servers disagree about.
type Waiting struct {
	Name       string      `json:"name"`
	Right      []string    `json:"right"`      // servers that have what is wanted
	Behind     []string    `json:"behind"`     // and those that have not
	Operations []Operation `json:"operations"` // what is missing there
}

// String is one line for people, without the newline.
func (w Waiting) String() string {
	return fmt.Sprintf("%s is right on %s, not yet on %s: wait, or have a secondary server updated",
		w.Name, strings.Join(w.Right, " and "), strings.Join(w.Behind, " and "))
}

// A Trouble is what is wrong with one server, or with the servers of a name.
type Trouble struct {
	Zone   string                 `json:"zone,omitempty"`
	Server string                 `json:"server,omitempty"`
	Addr   netip.Addr             `json:"address,omitzero"`
	Status transport.ServerStatus `json:"status"`
	Detail string                 `json:"detail"`
	Names  []string               `json:"names"` // that it was asked about
}

// String is one line for people, without the newline.
func (t Trouble) String() string {
	if t.Server == "" {
		return fmt.Sprintf("%s: no answer can be had: %s", strings.Join(t.Names, ", "), t.Detail)
	}
	where := t.Server
	if t.Addr.IsValid() {
		where += "[" + t.Addr.String() + "]"
	}
	return fmt.Sprintf("%s, a name server of %s: %s; %s", where, t.Zone, t.Detail, advice(t.Status))
}

// advice is what to do about a server.
func advice(status transport.ServerStatus) string {
	switch status {
	case transport.StatusLame:
		return "have the zone set up there, or take the server out of the NS records and of the delegation"
	case transport.StatusFailed:
		return "the zone there is broken or expired: have its operator look at it"
	case transport.StatusTimeout, transport.StatusUnreachable:
		return "have the server repaired, or take it out of the NS records and of the delegation"
	case transport.StatusNoRoute:
		return "it cannot be checked from here"
	}
	return "have its operator look at it"
}
