package transport_test

import (
	"strings"
	"testing"
	"time"

	"github.com/panelmail/panelmail/transport"
)

func TestADefinitionIsToldAllThatIsWrongWithIt(t *testing.T) {
	err := transport.Definition{
		Attempts: -1, Limit: -1, InitialConcurrency: -1, Processes: -1, RateDelay: -1, Rate: -1,
		RecipientLimit: -1, ConnectTimeout: -1, HELOTimeout: -1,
	}.Check()
	for _, part := range []string{
		"no name", "Attempts", "Limit", "InitialConcurrency", "Processes", "RateDelay", "Rate ", "RecipientLimit",
		"ConnectTimeout", "HELOTimeout",
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("nothing about %s in %v", part, err)
		}
	}
	for _, d := range []transport.Definition{
		{Name: "x", Base: "smtp", RateInterval: time.Minute}, {Name: "x", Base: "smtp", RateInterval: -time.Minute},
	} {
		if err := d.Check(); err == nil || !strings.Contains(err.Error(), "RateInterval") {
			t.Errorf("%+v: %v", d, err)
		}
	}
	for name, d := range transport.Builtin() {
		if err := d.Check(); err != nil || d.Name != name {
			t.Errorf("built in as %s: %v", name, err)
		}
	}
	if err := (transport.Definition{Name: "x", FailedCohortLimit: -1, Rate: 1}).Check(); err != nil {
		t.Error(err)
	}
}
