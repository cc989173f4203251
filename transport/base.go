package transport

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// The built-in transports that deliver, as [Definition.Base].
const (
	baseSMTP    = "smtp"
	baseLMTP    = "lmtp"
	baseMaildir = "maildir"
)

// offNetwork reports whether a plan needs no network: its transport answers by itself,
// or the mail stays on this machine. There is no TLS then, and no credential.
func (p *Plan) offNetwork() bool {
	if _, ok := answers[p.Definition.Base]; ok {
		return true
	}
	return p.Definition.Base == baseMaildir || p.Definition.Base == baseLMTP && allSockets(p.Nexthop)
}

func allSockets(nexthop string) bool {
	for _, element := range elements(nexthop) {
		if !strings.HasPrefix(element, unixPrefix) {
			return false
		}
	}
	return nexthop != ""
}

// stores reports whether a transport hands mail to a store of ours. No smart host takes
// such mail, and no mail exchanger.
func (d *Definition) stores() bool { return d.Base == baseLMTP || d.Base == baseMaildir }

// CheckNexthop reports what is wrong with the next hop of a route by this transport;
// nil if it can be delivered to. An empty one is wrong only where the recipient domain
// cannot stand for it.
func (d Definition) CheckNexthop(nexthop string) error {
	if _, ok := answers[d.Base]; ok {
		return nil
	}
	if nexthop == "" {
		if d.stores() {
			return fmt.Errorf("%s: needs a next hop", d.Name)
		}
		return nil
	}
	var parse func(string) error
	switch d.Base {
	case baseMaildir:
		_, err := maildirPath("", nexthop)
		return err
	case baseLMTP:
		parse = func(s string) error { _, err := parseStore(s); return err }
	case baseSMTP:
		parse = func(s string) error { _, err := parseNexthop(s, 0); return err }
	default:
		return nil
	}
	list := elements(nexthop)
	if len(list) == 0 {
		return errors.New("the next hop is empty")
	}
	for _, element := range list {
		if err := parse(element); err != nil {
			return fmt.Errorf("next hop %q: %w", element, err)
		}
	}
	return nil
}

// maildirPath is the path below root that a next hop names. Without root an absolute
// path is taken for below it.
func maildirPath(root, nexthop string) (string, error) {
	path := filepath.Clean(nexthop)
	if filepath.IsAbs(path) {
		if root == "" {
			return path, nil
		}
		below, err := filepath.Rel(root, path)
		if err != nil {
			return "", err
		}
		path = below
	}
	if !filepath.IsLocal(path) || path == "." {
		return "", errors.New("the path of a Maildir is not below the directory for them")
	}
	return path, nil
}
