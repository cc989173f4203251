package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// A nexthop is one element of a next hop in Postfix's syntax: domain,
// domain:port, [host], [host]:port or [address]:port.
type nexthop struct {
	name  string     // in A-labels
	addr  netip.Addr // if the element is an address, and name its text
	port  uint16
	fixed bool // in brackets, or an address: no MX look-up

	socket string // path of a Unix-domain socket, in place of all this
}

// separators stand between the elements of a list of next hops.
const separators = ", \t"

// listed returns the elements of a next hop that is a list, else nothing.
func listed(nexthop string) []string {
	if !strings.ContainsAny(nexthop, separators) {
		return nil
	}
	return elements(nexthop)
}

func elements(nexthop string) []string {
	return strings.FieldsFunc(nexthop, func(r rune) bool { return strings.ContainsRune(separators, r) })
}

// parseNexthops reads a next hop or a list.
func parseNexthops(s string, port uint16) ([]nexthop, error) {
	var hops []nexthop
	for _, element := range elements(s) {
		h, err := parseNexthop(element, port)
		if err != nil {
			return nil, fmt.Errorf("next hop %q: %w", element, err)
		}
		hops = append(hops, h)
	}
	if len(hops) == 0 {
		return nil, errors.New("the next hop is empty")
	}
	return hops, nil
}

func parseNexthop(s string, port uint16) (nexthop, error) {
	h := nexthop{name: s, port: port}
	service := ""
	if inner, ok := strings.CutPrefix(s, "["); ok {
		name, rest, closed := strings.Cut(inner, "]")
		if !closed || rest != "" && rest[0] != ':' {
			return nexthop{}, errors.New("misplaced bracket")
		}
		h.name, h.fixed, service = name, true, strings.TrimPrefix(rest, ":")
		if rest != "" && service == "" {
			return nexthop{}, errors.New("no port after the colon")
		}
	} else if strings.Count(s, ":") == 1 {
		h.name, service, _ = strings.Cut(s, ":")
	}
	if service != "" {
		var err error
		if h.port, err = parsePort(service); err != nil {
			return nexthop{}, err
		}
	}
	if tag := len("IPv6:"); len(h.name) > tag && strings.EqualFold(h.name[:tag], "IPv6:") {
		h.name = h.name[tag:]
	}
	if ip, err := netip.ParseAddr(h.name); err == nil {
		h.addr, h.fixed = ip.Unmap(), true
		return h, nil
	}
	name, err := hostname(h.name)
	h.name = name
	return h, err
}

func parsePort(s string) (uint16, error) {
	switch s {
	case "smtp":
		return 25, nil
	case "smtps", "submissions":
		return 465, nil
	case "submission":
		return 587, nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("no such port: %q", s)
	}
	return uint16(n), nil
}

// hostname checks a host name and returns it in A-labels, without a final dot.
func hostname(s string) (string, error) {
	a, err := address.Parse("postmaster@" + s)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(a.Domain, "[") {
		return "", address.ErrDomain
	}
	return a.ASCIIDomain()
}

// String is the next hop as in Postfix's maps.
func (h nexthop) String() string {
	if h.fixed {
		return fmt.Sprintf("[%s]:%d", h.name, h.port)
	}
	return fmt.Sprintf("%s:%d", h.name, h.port)
}
