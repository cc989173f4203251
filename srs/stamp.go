package srs

import (
	"strings"
	"time"
)

const (
	// base32 has the digits of a stamp (RFC 4648 section 6).
	base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

	// slots is how many days stamps tell apart.
	slots = len(base32) * len(base32)
)

// slot is the day of an instant in UTC.
func slot(now time.Time) int {
	const day = 24 * 60 * 60
	return int(now.Unix() / day % int64(slots))
}

// stamp writes a day as two characters.
func stamp(now time.Time) string {
	n := slot(now)
	return string([]byte{base32[n/len(base32)], base32[n%len(base32)]})
}

// parseStamp reads a day, in letters of either case.
func parseStamp(s string) (n int, ok bool) {
	if len(s) != 2 {
		return 0, false
	}
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		digit := strings.IndexByte(base32, c)
		if digit < 0 {
			return 0, false
		}
		n = n*len(base32) + digit
	}
	return n, true
}

// age is how many days ago a stamp was made. One of a day to come is as old as the
// last time that its day was.
func age(now time.Time, made int) int {
	return (slot(now) - made + slots) % slots
}
