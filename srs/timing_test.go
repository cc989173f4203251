package srs

import (
	"flag"
	"math"
	"testing"
	"time"
)

var timing = flag.Int("timing", 0, "`number` of hashes whose verification is timed, 1,000,000 or so; on a machine that does nothing else")

// The statistic is Welch's t, over the times in which hashes with all but the last
// character right were refused, and those with none right. What took longer than
// most is left out: something else ran.
func TestTheTimeDoesNotTellHowMuchOfAHashIsRight(t *testing.T) {
	if *timing == 0 {
		t.Skip("needs -timing and an idle machine")
	}
	r := newRewriter(t, "tops3cr3t", "older")
	s, err := r.settings()
	if err != nil {
		t.Fatal(err)
	}
	var n, mean, squares [2]float64
	for i := range *timing {
		class := i * 7919 / 13 % 2
		hash := [2]string{"dZZwRBWx", "xxxxxxxx"}[class]
		began := time.Now()
		right := r.verify(s, hash, "IL", "example.com", "alice")
		took := float64(time.Since(began))
		if right {
			t.Fatal("a wrong hash is right")
		}
		if i > *timing/10 && took > 1.2*mean[0] {
			continue
		}
		n[class]++ // Welford's sums
		before := mean[class]
		mean[class] += (took - before) / n[class]
		squares[class] += (took - before) * (took - mean[class])
	}
	spread := math.Sqrt(squares[0]/(n[0]-1)/n[0] + squares[1]/(n[1]-1)/n[1])
	statistic := (mean[0] - mean[1]) / spread
	t.Logf("%.0f and %.0f hashes, %.1f and %.1f ns, t = %.2f", n[0], n[1], mean[0], mean[1], statistic)
	if math.Abs(statistic) > 4.5 {
		t.Errorf("t = %.2f, want no more than 4.5", statistic)
	}
}
