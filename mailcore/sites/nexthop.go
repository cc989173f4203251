package sites

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// splitNexthops splits a list of next hops at commas and blanks.
func splitNexthops(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

// checkNexthop checks one next hop: domain, [host], an address, each with or
// without :port. What is wrong here would otherwise show only when mail is
// deferred.
func checkNexthop(hop string) error {
	host, rest, bracketed := hop, "", false
	if host, bracketed = strings.CutPrefix(hop, "["); bracketed {
		var closed bool
		if host, rest, closed = strings.Cut(host, "]"); !closed {
			return errors.New("a bracket is not closed")
		}
	} else if strings.Count(hop, ":") == 1 {
		host, rest, _ = strings.Cut(hop, ":")
		rest = ":" + rest
	}
	if port, colon := strings.CutPrefix(rest, ":"); rest != "" && (!colon || !isPort(port)) {
		return fmt.Errorf("%q is no :port", rest)
	}
	if len(host) > len("IPv6:") && strings.EqualFold(host[:len("IPv6:")], "IPv6:") {
		host = host[len("IPv6:"):]
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	_, err := address.ParseDomain(host)
	return err
}

// isPort reports whether a port is a number or a name that Postfix's maps use.
func isPort(s string) bool {
	switch s {
	case "smtp", "smtps", "submission", "submissions":
		return true
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}
