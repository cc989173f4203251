package sites_test

import (
	"testing"

	"github.com/panelmail/panelmail/mailcore/sites"
)

func TestASmartHostThatCouldNotBeReachedIsRefused(t *testing.T) {
	for hop, ok := range map[string]bool{
		"smart.example": true, "smart.example:587": true, "[smart.example]": true, "[smart.example]:submission": true,
		"192.0.2.1": true, "[192.0.2.1]:465": true, "[2001:db8::1]:25": true, "[IPv6:2001:db8::1]": true, "2001:db8::1": true,
		"a.example, [b.example]:587": true, "bücher.example": true,
		"": false, "[smart.example": false, "smart.example]": false, "[smart.example]587": false, "[smart.example]:": false,
		"smart.example:": false, "smart.example:0": false, "smart.example:99999": false, "smart.example:mail": false,
		"[]": false, "[:587": false, "-x.example": false, "a.example, [b": false, "a@smart.example": false,
	} {
		if err := (sites.SmartHost{Key: "default", Nexthop: hop}).Check(); (err == nil) != ok {
			t.Errorf("%q: %v", hop, err)
		}
	}
}
