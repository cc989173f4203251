package queue

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/transport"
)

// TestWhatIsPutBackIsNextAgain takes attempts of two sites and puts them back in any
// order.
func TestWhatIsPutBackIsNextAgain(t *testing.T) {
	for _, c := range []struct {
		name    string
		putBack []int // of what was taken
		want    []int64
	}{
		{"nothing", nil, []int64{4, 5, 6}},
		{"the latest", []int{2}, []int64{3, 4, 5, 6}},
		{"one before it", []int{1}, []int64{2, 5, 4, 6}},
		{"two of a site", []int{0, 2}, []int64{1, 4, 3, 6, 5}},
		{"two of a site, the later one first", []int{2, 0}, []int64{1, 4, 3, 6, 5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r ready
			for _, a := range []*attempt{{token: 1}, {token: 3}, {token: 5}, {token: 2}, {token: 4}, {token: 6}} {
				a.origin = transport.Origin{Site: []string{"b", "a"}[a.token%2]}
				r.add(a)
			}
			taken := []*attempt{r.take(), r.take(), r.take()}
			for _, i := range c.putBack {
				r.putBack(taken[i])
			}
			var got []int64
			for r.n > 0 {
				got = append(got, r.take().token)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
