package mailcore_test

import (
	"net/netip"
	"testing"

	"github.com/panelmail/panelmail/mailcore"
)

func TestRelayNetworksThatAreAGoodPartOfTheInternetAreRefused(t *testing.T) {
	for text, want := range map[string]bool{
		"0.0.0.0/0": false, "0.0.0.0/7": false, "10.0.0.0/8": true, "127.0.0.0/8": true,
		"::ffff:0:0/96": false, "::ffff:10.0.0.0/103": false, "::ffff:10.0.0.0/104": true,
		"::/0": false, "2000::/15": false, "2001::/16": true, "fc00::/6": false, "fc00::/7": true, "fe80::/10": true,
	} {
		c := mailcore.Config{Hostname: "mail.panel.example", RelayNetworks: []netip.Prefix{netip.MustParsePrefix(text)}}
		if err := c.Check(); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}
