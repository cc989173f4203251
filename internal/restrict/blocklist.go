package restrict

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// A dnsList is a DNS block list (RFC 5782).
type dnsList struct {
	domain string
	filter *filter // nil: any address
	kind   listKind

	refusing atomic.Bool // it was noted that it refuses our queries
	sanity   atomic.Pointer[sanity]
}

// sanity is what was found out about a list.
type sanity struct {
	at time.Time
	ok bool
}

// sane is how long sanity counts.
const sane = time.Hour

// A listKind is what a list has.
type listKind int

const (
	clientListed listKind = iota // addresses
	senderListed                 // domains
)

// blockList reads the argument of reject_rbl_client and reject_rhsbl_sender: the domain
// of the list, and behind = which addresses count.
func blockList(kind listKind) func(x *restriction, arg string) error {
	return func(x *restriction, arg string) error {
		domain, pattern, filtered := strings.Cut(arg, "=")
		l := &dnsList{domain: strings.ToLower(strings.TrimSuffix(domain, ".")), kind: kind}
		if !isHostname(l.domain) {
			return errors.New("not the domain of a block list")
		}
		if filtered {
			f, err := parseFilter(pattern)
			if err != nil {
				return err
			}
			l.filter = &f
		}
		x.apply = l.apply
		return nil
	}
}

func (l *dnsList) apply(ctx context.Context, r *run) answer {
	item, what := l.item(r)
	if item == "" || !l.lists(ctx, r, item) || !l.isSane(ctx, r) {
		return answer{}
	}
	text := fmt.Sprintf("Service unavailable; %s blocked using %s", what, l.domain)
	if reason := r.ask(ctx, texts, item+"."+l.domain).words; len(reason) > 0 {
		text += "; " + reason[0]
	}
	return answer{outcome: refused, reply: Reply{554, "5.7.1", text}}
}

// item is what of the request is looked up, and its name in the reply; "" if there is
// nothing to look up.
func (l *dnsList) item(r *run) (item, what string) {
	if l.kind == clientListed {
		if !r.request.Client.IsValid() {
			return "", ""
		}
		return reversed(r.request.Client), fmt.Sprintf("Client host [%s]", r.request.Client)
	}
	_, domain := domainOf(r.request.Sender)
	if !isHostname(domain) {
		return "", ""
	}
	return domain, fmt.Sprintf("Sender address [%s]", r.request.Sender)
}

// lists reports whether an item is on the list.
func (l *dnsList) lists(ctx context.Context, r *run, item string) bool {
	f := r.ask(ctx, ipv4, item+"."+l.domain)
	if f.err != nil && !f.missing() {
		r.note("block list %s: %v", l.domain, f.err)
		return false
	}
	for _, a := range f.addrs {
		switch {
		case refusal.Contains(a):
			if !l.refusing.Swap(true) {
				r.note("block list %s refuses our queries (%v): it lists nothing for us", l.domain, a)
			}
		case !loopback.Contains(a): // somebody has bought the domain, or the resolver lies
		case l.filter == nil || l.filter.match(a):
			return true
		}
	}
	return false
}

// The answers of block lists.
var (
	loopback = netip.MustParsePrefix("127.0.0.0/8")
	refusal  = netip.MustParsePrefix("127.255.255.0/24")
)

// isSane asks for what no list may have (RFC 5782 section 5): a list that has it lists
// everything. It is asked when somebody is listed, once in a while.
func (l *dnsList) isSane(ctx context.Context, r *run) bool {
	if s := l.sanity.Load(); s != nil && time.Since(s.at) < sane {
		return s.ok
	}
	point := "invalid"
	if l.kind == clientListed {
		point = reversed(netip.MustParseAddr("127.0.0.1"))
		if r.request.Client.Is6() {
			point = reversed(netip.MustParseAddr("::ffff:7f00:1"))
		}
	}
	f := r.ask(ctx, ipv4, point+"."+l.domain)
	if f.err != nil && !f.missing() {
		return true // not known: the listing counts
	}
	ok := !slices.ContainsFunc(f.addrs, loopback.Contains)
	if !ok {
		r.note("block list %s lists its test point %s, so it lists everything: its answers do not count", l.domain, point)
	}
	l.sanity.Store(&sanity{time.Now(), ok})
	return ok
}

// reversed is an address as block lists have it (RFC 5782 sections 2.1 and 2.4).
func reversed(a netip.Addr) string {
	var labels []string
	if a.Is4() {
		labels = strings.Split(a.String(), ".")
	} else {
		octets := a.As16()
		labels = strings.Split(hex.EncodeToString(octets[:]), "")
	}
	slices.Reverse(labels)
	return strings.Join(labels, ".")
}

// A filter is a pattern of addresses: for each octet the ranges it may be in.
type filter [4][][2]byte

// parseFilter reads d.d.d.d, in which an octet may be a list of numbers and ranges in
// brackets: 127.0.0.[2..4;9].
func parseFilter(text string) (f filter, err error) {
	bad := fmt.Errorf("%q is no filter: want 127.0.0.2 or 127.0.0.[2..4;9]", text)
	rest := text
	for i := range f {
		var octet string
		if strings.HasPrefix(rest, "[") {
			octet, rest, _ = strings.Cut(rest[1:], "]")
			rest = strings.TrimPrefix(rest, ".")
		} else {
			octet, rest, _ = strings.Cut(rest, ".")
		}
		for part := range strings.SplitSeq(octet, ";") {
			low, high, isRange := strings.Cut(part, "..")
			if !isRange {
				high = low
			}
			from, err1 := strconv.ParseUint(low, 10, 8)
			to, err2 := strconv.ParseUint(high, 10, 8)
			if err1 != nil || err2 != nil || to < from {
				return f, bad
			}
			f[i] = append(f[i], [2]byte{byte(from), byte(to)})
		}
	}
	if rest != "" {
		return f, bad
	}
	return f, nil
}

func (f filter) match(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	for i, octet := range a.As4() {
		if !slices.ContainsFunc(f[i], func(r [2]byte) bool { return r[0] <= octet && octet <= r[1] }) {
			return false
		}
	}
	return true
}
