package sendmail

import (
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestASilentServerIsLeftWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		m := &message{to: []string{"a@x.example"}}
		began := time.Now()
		later, refused := (&run{origin: "host.example"}).offerTo(t.Context(), ours, m)
		if !slices.Equal(later, m.to) || refused != nil {
			t.Errorf("left for later: %v, error %v", later, refused)
		}
		if took := time.Since(began); took == 0 || dialTimeout+took >= time.Second {
			t.Errorf("connecting takes %v at most, waiting for the greeting %v", dialTimeout, took)
		}
	})
}
