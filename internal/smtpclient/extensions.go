package smtpclient

import (
	"strconv"
	"strings"
)

// Limits of what is kept of a reply to EHLO: servers offer a dozen extensions, in
// lines of at most 512 octets.
const (
	maxExtensions = 64
	maxParams     = 512
)

// learn reads the lines of an EHLO reply. Keywords know no case (RFC 5321 section
// 2.4); the first line is the peer's name. "AUTH=" is how servers wrote it before
// RFC 2554.
func (c *Client) learn(text string) {
	_, lines, _ := strings.Cut(text, "\n")
	for line := range strings.SplitSeq(lines, "\n") {
		keyword, params, _ := strings.Cut(line, " ")
		keyword = strings.ToUpper(keyword)
		if mechanism, ok := strings.CutPrefix(keyword, "AUTH="); ok {
			keyword, params = "AUTH", mechanism+" "+params
			if _, known := c.ext["AUTH"]; known {
				continue
			}
		}
		if keyword == "" || len(line) > maxParams || len(c.ext) == maxExtensions {
			continue
		}
		c.ext[strings.Clone(keyword)] = strings.Clone(strings.TrimSpace(params))
	}
}

// Ext returns the parameters of a service extension, by its keyword in upper case;
// ok is false if the peer does not offer it.
func (c *Client) Ext(keyword string) (params string, ok bool) {
	params, ok = c.ext[keyword]
	return params, ok
}

// Limits are what the peer has declared to take (RFC 9422). Zero: it did not say.
type Limits struct {
	Mails       int // transactions in a session
	Rcpts       int // recipients in a transaction
	RcptDomains int // different recipient domains in a session
}

// Limits returns what the peer declared. A limit that is malformed counts as none
// (RFC 9422 section 3). It is for the caller to keep to them.
func (c *Client) Limits() (l Limits) {
	params, ok := c.ext["LIMITS"]
	if !ok {
		return l
	}
	for limit := range strings.FieldsSeq(params) {
		name, value, _ := strings.Cut(limit, "=")
		n, err := strconv.ParseUint(value, 10, 20) // of six digits at most
		if err != nil {
			continue
		}
		switch strings.ToUpper(name) {
		case "MAILMAX":
			l.Mails = int(n)
		case "RCPTMAX":
			l.Rcpts = int(n)
		case "RCPTDOMAINMAX":
			l.RcptDomains = int(n)
		}
	}
	return l
}
