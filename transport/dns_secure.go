package transport

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// Limits on the TLSA records of a host, which strangers publish. What is beyond them is
// no answer: to take some of the records would be to choose which.
const (
	maxTLSA     = 64       // records
	maxTLSAData = 32 << 10 // octets of their data
)

var _ TLSAFinder = (*DNS)(nil)

// A denial is an error: that there are no records. It is a *[net.DNSError] inside.
type denial struct {
	error
	secure bool // validated, by a server whose word we take
}

// Unwrap returns the *[net.DNSError].
func (d denial) Unwrap() error { return d.error }

// deniedSecurely reports whether a look-up had an answer that can be believed, and the
// answer was none.
func deniedSecurely(err error) bool {
	d, ok := errors.AsType[denial](err)
	return ok && d.secure
}

// believes reports whether the AD bit of a server counts.
func (r *DNS) believes(server string) bool {
	at, err := netip.ParseAddrPort(server)
	return r.TrustAD || err == nil && at.Addr().Unmap().IsLoopback()
}

// believesNobody reports whether no AD bit would count.
func (r *DNS) believesNobody() bool {
	servers, err := r.upstream()
	for _, s := range servers {
		if r.believes(s) {
			return false
		}
	}
	return err == nil
}

// TLSA implements [TLSAFinder]. More than 64 records, or more than 32 KiB of data in
// them, are a failed look-up.
func (r *DNS) TLSA(ctx context.Context, host string, port uint16) TLSAFacts {
	if r.believesNobody() {
		return TLSAFacts{}
	}
	bases, f := r.tlsaBases(ctx, host)
	for _, base := range bases {
		answer, err := r.find(ctx, fmt.Sprintf("_%d._tcp.%s", port, base), dns.TypeTLSA)
		switch {
		case err != nil && !notFound(err):
			return failedTLSA(base, err)
		case err == nil && answer.secure:
			return tlsaFacts(base, answer.records)
		case err == nil || !deniedSecurely(err):
			f = TLSAFacts{Status: DNSSECInsecure, Base: plainName(base)}
		default:
			f = TLSAFacts{Status: DNSSECSecure, Base: plainName(base)}
		}
	}
	return f
}

// tlsaBases returns the names below which the TLSA records of a host may be, the better
// first (RFC 7672 section 2.2.2). If there are none, the facts say why.
func (r *DNS) tlsaBases(ctx context.Context, host string) ([]string, TLSAFacts) {
	name := dns.CanonicalName(host)
	if _, err := netip.ParseAddr(strings.TrimSuffix(host, ".")); err == nil {
		return nil, TLSAFacts{Status: DNSSECInsecure}
	}
	var (
		secure  = true
		owner   string
		trouble error
	)
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		answer, err := r.find(ctx, name, kind)
		switch {
		case err == nil:
			secure, owner = secure && answer.secure, answer.owner
		case !notFound(err):
			trouble = err
		}
	}
	switch {
	case owner == "" && trouble != nil:
		return nil, failedTLSA(name, trouble)
	case owner == "": // and nothing to connect to
		return nil, TLSAFacts{Status: DNSSECInsecure}
	case secure && owner == name:
		return []string{name}, TLSAFacts{}
	case secure:
		return []string{owner, name}, TLSAFacts{}
	case owner == name:
		return nil, TLSAFacts{Status: DNSSECInsecure}
	}
	return r.aliasBase(ctx, name)
}

// aliasBase is the TLSA base domain of an alias that leads to where nothing is secure:
// its own name, if that is.
func (r *DNS) aliasBase(ctx context.Context, name string) ([]string, TLSAFacts) {
	m, server, err := r.ask(ctx, name, dns.TypeCNAME)
	switch {
	case err != nil:
		return nil, failedTLSA(name, err)
	case m.AuthenticatedData && r.believes(server):
		return []string{name}, TLSAFacts{}
	}
	return nil, TLSAFacts{Status: DNSSECInsecure}
}

// tlsaFacts are those of records that can be believed.
func tlsaFacts(base string, records []dns.RR) TLSAFacts {
	f := TLSAFacts{Status: DNSSECSecure, Base: plainName(base)}
	octets := 0
	for _, rr := range records {
		record, ok := rr.(*dns.TLSA)
		if !ok {
			continue
		}
		data, err := hex.DecodeString(record.Certificate)
		if err != nil {
			return failedTLSA(base, err)
		}
		octets += len(data)
		f.Records = append(f.Records, TLSA{
			Usage: record.Usage, Selector: record.Selector, MatchingType: record.MatchingType, Data: data,
		})
	}
	switch {
	case len(f.Records) > maxTLSA:
		return failedTLSA(base, errors.New("more than "+strconv.Itoa(maxTLSA)+" records"))
	case octets > maxTLSAData:
		return failedTLSA(base, errors.New("more than "+strconv.Itoa(maxTLSAData)+" octets of data"))
	}
	return f
}

func failedTLSA(base string, err error) TLSAFacts {
	f := TLSAFacts{Status: DNSSECFailed, Base: plainName(base), Detail: err.Error()}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		f.Detail = e.Err
	}
	return f
}

// plainName is a name without its final dot.
func plainName(name string) string { return strings.TrimSuffix(name, ".") }
