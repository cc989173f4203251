package sites

import (
	"strconv"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

const (
	keyDefault = "default" // every sender
	keyNull    = "<>"      // the null reverse-path
	delimiter  = "+"       // before the extension of a local-part
)

// A senderKey is a parsed key of a table that is asked about the sender. At
// most one of domain and site is set.
type senderKey struct {
	key    string // folded, as stored
	domain string // of an address or @domain
	site   string // for a whole site
}

// parseSenderKey parses an address, @domain, <> or the name of a site.
func parseSenderKey(kind, key string) (senderKey, error) {
	switch {
	case key == keyNull || key == keyDefault:
		return senderKey{key: key}, nil
	case strings.HasPrefix(key, "@"):
		domain, err := address.ParseDomain(key[1:])
		if err != nil {
			return senderKey{}, invalid(kind, key, "%v", err)
		}
		return senderKey{key: "@" + domain, domain: domain}, nil
	case strings.Contains(key, "@"):
		folded, domain, err := foldAddress(key)
		if err != nil {
			return senderKey{}, invalid(kind, key, "%v", err)
		}
		return senderKey{key: folded, domain: domain}, nil
	}
	if err := checkSiteName(key); err != nil {
		return senderKey{}, invalid(kind, key, "a key is an address, @domain, <>, or the name of a site")
	}
	return senderKey{key: key, site: key}, nil
}

// A senderLookup is the keys a sender is looked up by. Where it has none of a kind
// it is "", which is the key of no row.
type senderLookup struct {
	whole  string // the address, or <>
	base   string // without its extension, if it has one
	at     string // @domain
	domain string // folded
}

// lookupSender makes the keys for a reverse-path. One that cannot be parsed
// has none: it gets what every sender gets.
func lookupSender(reversePath string) senderLookup {
	if reversePath == "" {
		return senderLookup{whole: keyNull}
	}
	a, whole, err := address.Key(reversePath)
	if err != nil || a.Domain == "" {
		return senderLookup{}
	}
	l := senderLookup{whole: whole, at: whole[len(whole)-len(a.Domain)-len("@"):], domain: a.Domain}
	if base, _ := a.SplitExtension(delimiter); base != a {
		l.base = base.String()
	}
	return l
}

// foldAddress makes the key of an address, and of its domain.
func foldAddress(s string) (folded, domain string, err error) {
	a, folded, err := address.Key(s)
	return folded, a.Domain, err
}

// foldNexthop makes the key of a next hop: as written, in lower case.
func foldNexthop(kind, s string) (string, error) {
	if s == "" || len(s) > 1024 || hasControls(s) || strings.ContainsAny(s, " @") {
		return "", invalid(kind, s, "a next hop is domain, [host], domain:port, [host]:port")
	}
	return strings.ToLower(s), nil
}

func uidText(uid int) string { return strconv.Itoa(uid) }

// foldNexthops is foldNexthop for a list separated by commas or blanks.
func foldNexthops(kind, s string) (string, error) {
	hops := splitNexthops(s)
	if len(hops) == 0 {
		return "", invalid(kind, s, "no next hop is named")
	}
	for i, hop := range hops {
		folded, err := foldNexthop(kind, hop)
		if err != nil {
			return "", err
		}
		hops[i] = folded
	}
	return strings.Join(hops, ", "), nil
}
