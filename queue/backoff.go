package queue

import "time"

// backoff is the retry rule of Postfix's queue manager, kept per recipient: wait
// as long again as the recipient has been tried already, but never less than
// min nor more than max. Gaps double by themselves until max.
type backoff struct {
	min, max time.Duration
}

// delay is how long to wait at now for a recipient first tried at first.
func (b backoff) delay(first, now int64) time.Duration {
	age := time.Duration(now-first) * time.Microsecond
	return min(max(age, b.min), b.max)
}

// jitter spreads a delay by up to a tenth either way, so that what failed
// together is not tried together. r is in [0, 1).
func jitter(d time.Duration, r float64) time.Duration {
	return d + time.Duration((r-0.5)*0.2*float64(d))
}

func micros(t time.Time) int64 { return t.UnixMicro() }

func instant(us int64) time.Time { return time.UnixMicro(us).UTC() }
