package transport

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// A DNSQuestion is a name, with or without the final dot, and a record type such as
// "TXT".
type DNSQuestion struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// A Publication is what the authoritative servers say to a question.
type Publication struct {
	Question DNSQuestion     `json:"question"`
	Names    []PublishedName `json:"names"` // the name asked, then those its aliases lead to
}

// A PublishedName is what the servers of its zone say about one name. Both are without
// the final dot and in lower case.
type PublishedName struct {
	Name string `json:"name"`
	Zone string `json:"zone,omitempty"` // empty if it was not found

	// Answers are those of the servers, ordered by server and address. Where no
	// server could be asked there is one answer, of no server, that says why.
	Answers []ServerAnswer `json:"answers"`
}

// A ServerAnswer is what one server said.
type ServerAnswer struct {
	Name   string     `json:"name"` // that it was asked about
	Server string     `json:"server,omitempty"`
	Addr   netip.Addr `json:"address,omitzero"`

	Status  ServerStatus      `json:"status"`
	Alias   string            `json:"alias,omitempty"` // of StatusAlias: where it leads, without the final dot
	Records []PublishedRecord `json:"records,omitempty"`
	Detail  string            `json:"detail,omitempty"` // of trouble: what was wrong
}

// A ServerStatus is the class of an answer.
type ServerStatus string

// The answers that count, for they have authority, and the troubles.
const (
	StatusFound  ServerStatus = "found"   // there are records
	StatusAlias  ServerStatus = "alias"   // there is a CNAME record, and another type was asked for
	StatusNoData ServerStatus = "no data" // the name exists without records of the type
	StatusNoName ServerStatus = "no name" // the name does not exist (NXDOMAIN)

	StatusLame        ServerStatus = "lame"        // the server does not serve the zone: no authority, or REFUSED
	StatusFailed      ServerStatus = "failed"      // SERVFAIL
	StatusTimeout     ServerStatus = "timeout"     // no answer in time
	StatusUnreachable ServerStatus = "unreachable" // no address, or nothing answers there
	StatusNoRoute     ServerStatus = "no route"    // this machine has no way to it, as without IPv6
	StatusBroken      ServerStatus = "broken"      // any other code, or what is no answer
	StatusNoZone      ServerStatus = "no zone"     // which servers to ask could not be found out
)

// Trouble reports whether the server gave no answer that counts.
func (s ServerStatus) Trouble() bool {
	switch s {
	case StatusFound, StatusAlias, StatusNoData, StatusNoName:
		return false
	}
	return true
}

// A PublishedRecord is one record as a server has it.
type PublishedRecord struct {
	Name string `json:"name"` // without the final dot, in lower case
	TTL  uint32 `json:"ttl"`  // seconds
	Type string `json:"type"`
	Data string `json:"data"` // in presentation form (RFC 1035 section 5.1), domain names with the final dot

	// Text is the octets of a TXT record, its strings joined.
	Text string `json:"text,omitempty"`
}

// Leaves returns the answers at the ends of all aliases: instead of an alias those about
// its target. A loop of aliases, or too long a chain, ends in an answer of the status
// StatusBroken.
func (p Publication) Leaves() []ServerAnswer {
	if len(p.Names) == 0 {
		return nil
	}
	return p.leaves(p.Names[0].Name, nil)
}

func (p Publication) leaves(name string, path []string) []ServerAnswer {
	at := slices.IndexFunc(p.Names, func(n PublishedName) bool { return n.Name == name })
	switch {
	case slices.Contains(path, name):
		return []ServerAnswer{{Name: name, Status: StatusBroken, Detail: "the aliases lead in a circle"}}
	case at < 0:
		return []ServerAnswer{{Name: name, Status: StatusBroken, Detail: "too many aliases"}}
	}
	var all []ServerAnswer
	var followed []string
	for _, a := range p.Names[at].Answers {
		switch {
		case a.Status != StatusAlias:
			all = append(all, a)
		case !slices.Contains(followed, a.Alias):
			followed = append(followed, a.Alias)
			all = append(all, p.leaves(a.Alias, append(slices.Clip(path), name))...)
		}
	}
	return all
}

// Published asks the authoritative servers of each name, every one of them, what they
// publish, and follows aliases to the servers of other zones. The servers are those that
// the zone names and those that the zone above delegates to. No answer is remembered;
// the zones and their servers are those that the recursive servers know. Where a server
// has several addresses each is asked, except those that this machine has no way to
// while another of them answers.
//
// At most 32 addresses are asked about a name, and 8 aliases followed. A server on
// loopback is asked at the port of the recursive server if that is on loopback too, all
// others at port 53.
//
// The publications are in the order of the questions. The error is that of ctx, or says
// which question is none; whatever servers did is in the answers.
func (r *DNS) Published(ctx context.Context, questions ...DNSQuestion) ([]Publication, error) {
	in := inquiry{dns: r, room: make(chan struct{}, maxAsked)}
	return in.all(ctx, questions, in.name)
}

// Resolved is [DNS.Published] of the recursive servers, for where the authoritative ones
// are not to be had: what they remember may be old. Each name has one answer, without
// the name of a server.
func (r *DNS) Resolved(ctx context.Context, questions ...DNSQuestion) ([]Publication, error) {
	in := inquiry{dns: r, room: make(chan struct{}, maxAsked)}
	return in.all(ctx, questions, in.resolved)
}

// all answers questions, name by name.
func (in *inquiry) all(ctx context.Context, questions []DNSQuestion, name nameAsker) ([]Publication, error) {
	found := make([]Publication, len(questions))
	for i, q := range questions {
		if err := q.check(); err != nil {
			return nil, err
		}
		found[i].Question = q
	}
	each(questions, func(i int, q DNSQuestion) {
		found[i].Names = followed(ctx, dns.CanonicalName(q.Name), dns.StringToType[strings.ToUpper(q.Type)], name)
	})
	return found, ctx.Err()
}
