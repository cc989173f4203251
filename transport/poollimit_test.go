package transport

import (
	"fmt"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/smtpclient"
)

func TestConnectionsThatAreKeptAreBounded(t *testing.T) {
	for _, most := range []int{0, 1, 3} {
		p := &pool{most: most}
		session := func(i int) *session {
			return &session{key: sessionKey{host: fmt.Sprint(i)}, client: &smtpclient.Client{}, opened: time.Now()}
		}
		first := session(0)
		if most == 0 {
			p.keep(first)
			p.remove(p.idle.Front())
			if most = min(maxIdle, descriptors()/idleShare); p.most != most {
				t.Errorf("%d are kept, want %d", p.most, most)
			}
		}
		for i := range most {
			x := first
			if i > 0 {
				x = session(i)
			}
			if old := p.keep(x); len(old) != 0 {
				t.Fatalf("of %d connections %d end", i+1, len(old))
			}
		}
		if old := p.keep(session(most)); len(old) != 1 || old[0] != first {
			t.Errorf("of %d connections %d end, want the oldest", most+1, len(old))
		}
		p.timer.Stop()
	}
}
