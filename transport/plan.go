package transport

import (
	"fmt"
	"io"
	"log/slog"
	"unique"
)

// A Plan says how one recipient's mail leaves: by which transport, to which
// next hop, from which source, under which TLS level, credential and limits,
// and because of which rules. Two recipients of a message travel together when
// their plans are equal but for Because.
//
// A plan marshals to JSON without the password of its credential.
type Plan struct {
	Transport   string     `json:"transport"`           // name in the set of definitions: smtp, relaylim, …
	Definition  Definition `json:"-"`                   // what that name stood for: base, recipient limit, timeouts
	Nexthop     string     `json:"nexthop"`             // Postfix syntax: domain, [host], [host]:port, a list; a text for error, retry, discard
	Source      Source     `json:"source"`              // where from
	HELO        string     `json:"helo,omitempty"`      // the name to say in EHLO; empty: that of the transport
	TLS         TLSLevel   `json:"tls,omitempty"`       // never lowered afterwards; empty if the transport uses no network
	TLSTerms    TLSTerms   `json:"tls_terms,omitzero"`  // what goes with the level
	Credential  Credential `json:"credential,omitzero"` // for SASL; zero: none
	SmartHost   bool       `json:"smart_host"`          // the next hop is a smart host: its name trouble is ours
	Direct      bool       `json:"-"`                   // the next hop is the recipient domain, which is a stranger's word: see [SMTP]
	BySender    bool       `json:"-"`                   // as in [Query]
	Attempts    int        `json:"attempts"`            // delivery passes before a deferral becomes a failure; zero: no limit
	Limit       int        `json:"limit"`               // deliveries at once to the destination, see [Definition.Limit]; zero: no limit
	Initial     int        `json:"initial"`             // deliveries at once that a lane begins with; zero where Limit is
	Destination string     `json:"destination"`         // key of the fixed next hop, or of the domains behind one set of exchangers
	Schedule    Schedule   `json:"schedule,omitzero"`   // when what is deferred is tried again; zero fields: when the queue says
	Lane        string     `json:"lane"`                // source and destination
	Because     []Because  `json:"because"`             // one for each part that a rule decided
}

// Because names the rule behind one part of a plan.
type Because struct {
	Part string `json:"part"` // transport, nexthop, source, helo, tls, credential, attempts, limit, schedule or lane
	Rule string `json:"rule"` // table and key, file and line, setting of the configuration, or "default"
}

// parts is how many parts of a plan have a rule, if all do.
const parts = 10

// Rule is the rule behind a part of the plan; "" if no rule decided it.
func (p *Plan) Rule(part string) string {
	for _, b := range p.Because {
		if b.Part == part {
			return b.Rule
		}
	}
	return ""
}

// terms is a plan without its reasons, so that plans can be compared.
type terms struct {
	definition  Definition
	transport   string
	nexthop     string
	source      Source
	helo        string
	tls         TLSLevel
	tlsTerms    TLSTerms
	credential  concealed
	smartHost   bool
	direct      bool
	attempts    int
	limit       int
	initial     int
	destination string
	lane        string
}

func (p *Plan) terms() terms {
	return terms{
		definition: p.Definition, transport: p.Transport, nexthop: p.Nexthop,
		source: p.Source, helo: p.HELO, tls: p.TLS, tlsTerms: p.TLSTerms, credential: p.Credential.conceal(), smartHost: p.SmartHost, direct: p.Direct,
		attempts: p.Attempts, limit: p.Limit, initial: p.Initial, destination: p.Destination, lane: p.Lane,
	}
}

// A Credential authenticates us at a smart host. It prints without its
// password.
type Credential struct {
	User     string
	Password string

	// OAuth says that Password is an access token of OAuth 2.0, for the mechanism
	// XOAUTH2. If it is empty, [SMTP.Tokens] is asked for one.
	OAuth bool
}

// String is the user name with the password masked.
func (c Credential) String() string {
	switch {
	case c == (Credential{}):
		return ""
	case c.OAuth:
		return c.User + ":*** (XOAUTH2)"
	}
	return c.User + ":***"
}

// Format is String for every verb of package fmt. In an unexported field of what is
// printed fmt does not ask for it, and shows all.
func (c Credential) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// GoString is String, so that %#v does not print the password either.
func (c Credential) GoString() string { return c.String() }

// LogValue is String for log/slog.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText is String for JSON and other encoders.
func (c Credential) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// A concealed credential stands for it in keys, whose fields fmt shows. For a verb
// that it cannot serve fmt follows one pointer; there are two.
type concealed = unique.Handle[unique.Handle[Credential]]

func (c Credential) conceal() concealed { return unique.Make(unique.Make(c)) }
