package transport

import (
	"context"
	"strings"
)

// A Route is what a transport map says about an address: by which transport,
// and where to.
//
// An empty Transport keeps the one chosen so far. An empty Nexthop beside a
// Transport is the recipient domain, so that no smart host applies. Both empty
// is "no change": it only stops the search (transport(5), RESULT FORMAT).
type Route struct {
	Transport string
	Nexthop   string
}

// String is the route as written in a map.
func (r Route) String() string { return r.Transport + ":" + r.Nexthop }

// A Query is what a planner asks its tables: who writes to whom.
type Query struct {
	// ID is the queue ID of the message; "" if there is none yet. A source that
	// is a pool picks by it.
	ID string

	// Sender is the reverse-path, "" the null one: that of the recipient if it
	// has its own, else the envelope's.
	Sender string

	// Rewritten says that Sender is the recipient's own: the desk made it for a
	// copy that it forwards, in a domain of the site that forwards.
	Rewritten bool

	Recipient string // local-part@domain
	Origin    Origin // who handed the message in

	// RequireTLS and TLSOptional are of the [Envelope].
	RequireTLS, TLSOptional bool

	// BySender says that the next hop asked about, or the list that it is of, is a
	// smart host or comes from Defaults or Default: not from Routes, and not the
	// recipient domain. The planner sets it, for credentials and TLS policies only.
	BySender bool
}

// A Router says where to. It asks the recipient; ok is false if it has nothing
// to say. rule names the entry that answered, for people. An error defers the
// recipient.
//
// Routers, like all parts of a planner, are called from many goroutines and
// must not use the network.
type Router interface {
	Route(ctx context.Context, q Query) (r Route, rule string, ok bool, err error)
}

// RouterFunc is a function that is a [Router].
type RouterFunc func(ctx context.Context, q Query) (Route, string, bool, error)

// Route calls f.
func (f RouterFunc) Route(ctx context.Context, q Query) (Route, string, bool, error) {
	return f(ctx, q)
}

// A Sourcer says where from. It asks the sender and the origin: the recipient
// of the query is always empty, so that no route can change the source.
// An error defers the recipient; mail is not sent from another source.
type Sourcer interface {
	Source(ctx context.Context, q Query) (s Source, rule string, ok bool, err error)
}

// SourcerFunc is a function that is a [Sourcer].
type SourcerFunc func(ctx context.Context, q Query) (Source, string, bool, error)

// Source calls f.
func (f SourcerFunc) Source(ctx context.Context, q Query) (Source, string, bool, error) {
	return f(ctx, q)
}

// A SmartHoster names the smart host of a sender, as a next hop in Postfix
// syntax. ok with an empty next hop means that this sender uses none, not even
// the planner's own.
type SmartHoster interface {
	SmartHost(ctx context.Context, q Query) (nexthop, rule string, ok bool, err error)
}

// SmartHosterFunc is a function that is a [SmartHoster].
type SmartHosterFunc func(ctx context.Context, q Query) (nexthop, rule string, ok bool, err error)

// SmartHost calls f.
func (f SmartHosterFunc) SmartHost(ctx context.Context, q Query) (nexthop, rule string, ok bool, err error) {
	return f(ctx, q)
}

// A Credentialer finds the credential for a next hop, which is given as
// written, with brackets and port. Of a list the whole is asked for, and if there
// is no answer each element. See [CredentialKeys] for the keys that a table is
// searched by.
type Credentialer interface {
	Credential(ctx context.Context, q Query, nexthop string) (c Credential, rule string, ok bool, err error)
}

// CredentialerFunc is a function that is a [Credentialer].
type CredentialerFunc func(ctx context.Context, q Query, nexthop string) (Credential, string, bool, error)

// Credential calls f.
func (f CredentialerFunc) Credential(ctx context.Context, q Query, nexthop string) (Credential, string, bool, error) {
	return f(ctx, q, nexthop)
}

// A TLSPolicer finds the TLS policy for a next hop, which is given as written. Of
// a list the whole is asked for, and each element. See [TLSKeys] for the keys
// that a table is searched by.
type TLSPolicer interface {
	TLSPolicy(ctx context.Context, q Query, nexthop string) (p TLSPolicy, rule string, ok bool, err error)
}

// TLSPolicerFunc is a function that is a [TLSPolicer].
type TLSPolicerFunc func(ctx context.Context, q Query, nexthop string) (TLSPolicy, string, bool, error)

// TLSPolicy calls f.
func (f TLSPolicerFunc) TLSPolicy(ctx context.Context, q Query, nexthop string) (TLSPolicy, string, bool, error) {
	return f(ctx, q, nexthop)
}

// plainDomain reports whether nexthop is a domain to look up exchangers for:
// no brackets, no port, no list.
func plainDomain(nexthop string) bool {
	return nexthop != "" && !strings.ContainsAny(nexthop, "[]:/, \t")
}
