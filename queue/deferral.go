package queue

import (
	"maps"
	"strings"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// A Deferral is the reason of a deferral, as far as the remote's reply tells it.
type Deferral string

// The reasons that make a difference to when the next attempt is worth it.
const (
	Greylisting Deferral = "greylisting" // it wants to see us once more
	Quota       Deferral = "quota"       // the mailbox is full
	Policy      Deferral = "policy"      // it does not like us, or not so much of us
)

// DefaultSchedules are the schedules by reason that go with a BackoffMin and a
// BackoffMax of [Options], within whose bounds they stay.
//
// After greylisting the next attempts come sooner: the first a fifth after
// BackoffMin, so that none comes before the five minutes that are most often
// asked for, and then at most an hour apart, because whoever comes again after
// the delay is let in. A full mailbox is tried an hour later at the earliest:
// its owner has to do something. A host that does not like us is left alone for a
// quarter of an hour: to insist makes it worse.
func DefaultSchedules(backoffMin, backoffMax time.Duration) map[Deferral]transport.Schedule {
	within := func(d time.Duration) time.Duration { return max(min(d, backoffMax), backoffMin) }
	return map[Deferral]transport.Schedule{
		Greylisting: {Min: within(backoffMin * 6 / 5), Max: within(max(time.Hour, backoffMin*6/5))},
		Quota:       {Min: within(time.Hour), Max: backoffMax},
		Policy:      {Min: within(15 * time.Minute), Max: backoffMax},
	}
}

// fillSchedules returns a map of its own with every field set that has a default.
func fillSchedules(own map[Deferral]transport.Schedule, backoffMin, backoffMax time.Duration) map[Deferral]transport.Schedule {
	all := maps.Clone(own)
	if all == nil {
		all = map[Deferral]transport.Schedule{}
	}
	for reason, s := range DefaultSchedules(backoffMin, backoffMax) {
		all[reason] = all[reason].Or(s)
	}
	return all
}

// schedule is what a deferral is tried again by.
func (o *Options) schedule(out *transport.Outcome) transport.Schedule {
	s := out.Schedule
	if !out.Local && out.Host != "" {
		s = s.Or(o.Schedules[DeferralOf(out.Reply)])
	}
	return s.Or(transport.Schedule{Min: o.BackoffMin, Max: o.BackoffMax})
}

// DeferralOf tells what a remote's reply of class 4 was about; "" if it does not
// say. Enhanced status codes (RFC 3463) say it to some extent, but greylisting
// has none: there it takes the words that servers use.
func DeferralOf(r transport.Reply) Deferral {
	text := strings.ToLower(strings.ReplaceAll(r.Text, "\n", " "))
	for i := range clues {
		if clues[i].fits(r.Enhanced, text) {
			return clues[i].means
		}
	}
	return ""
}

// A clue is what a reply can be known by: its status, its words, or both.
type clue struct {
	means   Deferral
	subject int    // of the status; 0: any status will do
	detail  [2]int // from, to
	words   []string
}

// clues are looked at in turn, and the first that fits counts. Nothing changes
// them.
var clues = []clue{
	{means: Greylisting, words: []string{"greylist", "graylist", "grey list", "gray list", "grey-list", "gray-list"}},
	{means: Quota, subject: 2, detail: [2]int{2, 2}}, // mailbox full
	{means: Quota, words: []string{"over quota", "quota exceeded", "exceeded quota", "mailbox full", "mailbox is full"}},
	{means: Policy, words: []string{"reputation", "rate limit", "ratelimit", "too many", "throttl", "blocklist", "block list", "blacklist", "blocked", "complaint"}},
	{means: Greylisting, subject: 7, detail: [2]int{1, 1}, words: []string{"try again", "try later", "come back", "retry"}},
	{means: Policy, subject: 7, detail: [2]int{0, 1}},
	{means: Policy, subject: 7, detail: [2]int{20, 999}}, // SPF and DKIM (RFC 7372), and what large providers have
}

func (c *clue) fits(status [3]int, text string) bool {
	if c.subject != 0 && (status[1] != c.subject || status[2] < c.detail[0] || status[2] > c.detail[1]) {
		return false
	}
	if c.words == nil {
		return true
	}
	for _, w := range c.words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}
