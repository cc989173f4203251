package dnstmpl

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
)

// A world is the DNS as it will be when a zone is published: its records, and for names
// that it has none for what a resolver says. Names may have a final dot.
type world struct {
	zone     Zone
	resolver Resolver // nil: nobody knows
}

// maxAliases is how many CNAME records are followed in a row.
const maxAliases = 8

// records are the values of one type at a name in the zone. name is where they were
// looked for in the end: it is another where an alias of the zone leads elsewhere.
func (w world) records(name, typ string) (values []Value, end string) {
	name = strings.TrimSuffix(strings.ToLower(name), ".") + "."
	for range maxAliases {
		target := ""
		for _, r := range w.zone.Records {
			if r.Name != name {
				continue
			}
			if c, ok := r.Value.(CNAME); ok {
				target = c.Target
			}
			if r.Type() == typ {
				values = append(values, r.Value)
			}
		}
		if len(values) > 0 || target == "" {
			break
		}
		name = target
	}
	return values, name
}

// ask is the answer of the resolver, if it may be asked.
func ask[T any](w world, name string, look func(name string) ([]T, error)) (found []T, known bool, err error) {
	if w.resolver == nil {
		return nil, false, nil
	}
	found, err = orNone(look(strings.TrimSuffix(strings.ToLower(name), ".")))
	return found, err == nil, err
}

// orNone makes an empty answer of the error that there are no such records.
func orNone[T any](found []T, err error) ([]T, error) {
	if problem, ok := errors.AsType[*net.DNSError](err); ok && problem.IsNotFound {
		return nil, nil
	}
	return found, err
}

// spf are the SPF records of a name. known is false where nobody can say.
func (w world) spf(ctx context.Context, name string) (texts []string, known bool, err error) {
	all, end := w.texts(name)
	known = true
	if len(all) == 0 {
		all, known, err = ask(w, end, func(name string) ([]string, error) { return w.resolver.Text(ctx, name) })
	}
	for _, text := range all {
		if hasVersion(text, "v=spf1", " ") {
			texts = append(texts, text)
		}
	}
	return texts, known, err
}

// texts are the TXT records of a name in the zone.
func (w world) texts(name string) (texts []string, end string) {
	values, end := w.records(name, "TXT")
	for _, v := range values {
		texts = append(texts, v.(TXT).Text)
	}
	return texts, end
}

// exchangers are the hosts of the MX records of a domain.
func (w world) exchangers(ctx context.Context, domain string) (hosts []string, known bool, err error) {
	values, end := w.records(domain, "MX")
	for _, v := range values {
		hosts = append(hosts, v.(MX).Host)
	}
	if len(hosts) > 0 {
		return hosts, true, nil
	}
	return ask(w, end, func(name string) ([]string, error) { return w.resolver.MX(ctx, name) })
}

// addrs are the addresses of a host.
func (w world) addrs(ctx context.Context, host string) (addrs []netip.Addr, known bool, err error) {
	four, end := w.records(host, "A")
	six, _ := w.records(host, "AAAA")
	for _, v := range four {
		addrs = append(addrs, v.(A).Addr)
	}
	for _, v := range six {
		addrs = append(addrs, v.(AAAA).Addr)
	}
	if len(addrs) > 0 {
		return addrs, true, nil
	}
	return ask(w, end, func(name string) ([]netip.Addr, error) { return w.resolver.Addrs(ctx, name) })
}
