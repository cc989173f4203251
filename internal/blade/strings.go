package blade

import (
	"strings"
)

// What str_pad takes.
const (
	padLeft  = 0
	padRight = 1
	padBoth  = 2
)

// blanks are what trim and the like cut off if they are not told.
const blanks = " \n\r\t\v\x00"

func stringFunctions() map[string]function {
	return map[string]function{
		"trim":       {1, 2, func(c *callee) value { return c.trim(true, true) }},
		"ltrim":      {1, 2, func(c *callee) value { return c.trim(true, false) }},
		"rtrim":      {1, 2, func(c *callee) value { return c.trim(false, true) }},
		"chop":       {1, 2, func(c *callee) value { return c.trim(false, true) }},
		"strtolower": {1, 1, func(c *callee) value { return lower(c.text(0)) }},
		"strtoupper": {1, 1, func(c *callee) value { return upper(c.text(0)) }},
		"ucfirst":    {1, 1, func(c *callee) value { return first(c.text(0), upper) }},
		"lcfirst":    {1, 1, func(c *callee) value { return first(c.text(0), lower) }},
		"strlen":     {1, 1, func(c *callee) value { return int64(len(c.text(0))) }},
		"strrev":     {1, 1, func(c *callee) value { return reversed(c.text(0)) }},
		"str_repeat": {2, 2, (*callee).repeat},
		"str_pad":    {2, 4, (*callee).pad},
		"substr":     {2, 3, (*callee).substr},
		"addslashes": {1, 1, func(c *callee) value { return slashes(c.text(0)) }},
		"e":          {1, 1, func(c *callee) value { return escape(c.text(0)) }},
		"sprintf":    {1, many, func(c *callee) value { return c.format(c.text(0), c.args[1:]) }},
		"vsprintf":   {2, 2, func(c *callee) value { return c.format(c.text(0), c.array(1).values()) }},
		"implode":    {1, 2, (*callee).implode},
		"join":       {1, 2, (*callee).implode},
		"explode":    {2, 3, (*callee).explode},
		"str_split":  {1, 2, (*callee).split},
	}
}

// lower and upper change the letters of ASCII, whatever the encoding.
func lower(s string) string { return mapped(s, 'A', 'Z', 'a'-'A') }
func upper(s string) string { return mapped(s, 'a', 'z', 'A'-'a') }

func mapped(s string, from, to byte, by int) string {
	out := []byte(s)
	for i, c := range out {
		if from <= c && c <= to {
			out[i] = byte(int(c) + by)
		}
	}
	return string(out)
}

func first(s string, change func(string) string) string {
	if s == "" {
		return s
	}
	return change(s[:1]) + s[1:]
}

func reversed(s string) string {
	out := make([]byte, len(s))
	for i := range len(s) {
		out[len(s)-1-i] = s[i]
	}
	return string(out)
}

func slashes(s string) string {
	return strings.NewReplacer(`\`, `\\`, `'`, `\'`, `"`, `\"`, "\x00", `\0`).Replace(s)
}

// trim cuts off the octets of a set, in which a..z is a range.
func (c *callee) trim(left, right bool) value {
	s := c.text(0)
	var set [256]bool
	cut := c.textOr(1, blanks)
	for i := 0; i < len(cut); i++ {
		if i+3 < len(cut) && cut[i+1:i+3] == ".." && cut[i+3] >= cut[i] {
			for b := int(cut[i]); b <= int(cut[i+3]); b++ {
				set[b] = true
			}
			i += 3
			continue
		}
		set[cut[i]] = true
	}
	for left && s != "" && set[s[0]] {
		s = s[1:]
	}
	for right && s != "" && set[s[len(s)-1]] {
		s = s[:len(s)-1]
	}
	return s
}

func (c *callee) repeat() value {
	s, n := c.text(0), c.int(1)
	switch {
	case n < 0:
		return c.fail("%d times is not possible", n)
	case s == "" || n == 0:
		return ""
	case n > MaxString || !c.spend(n*len(s), 0):
		c.spend(MaxString+1, 0)
		return nil
	}
	return strings.Repeat(s, n)
}

func (c *callee) pad() value {
	s, length, fill, side := c.text(0), c.int(1), c.textOr(2, " "), c.intOr(3, padRight)
	missing := length - len(s)
	switch {
	case length <= len(s) || !c.spend(length, 0):
		return s
	case fill == "":
		return c.fail("nothing to fill with")
	case side < padLeft || side > padBoth:
		return c.fail("a side is STR_PAD_LEFT, STR_PAD_RIGHT or STR_PAD_BOTH")
	}
	left, right := 0, missing
	switch side {
	case padLeft:
		left, right = missing, 0
	case padBoth:
		left = missing / 2
		right = missing - left
	}
	return filling(fill, left) + s + filling(fill, right)
}

// filling repeats a string up to a length.
func filling(s string, length int) string {
	return strings.Repeat(s, length/len(s)+1)[:length]
}

// span is the part of something that is n long which an offset and a length
// mean; either counts from the end if it is negative.
func (c *callee) span(n, offset int, length value, at int) (from, to int) {
	if offset < 0 {
		offset = max(n+offset, 0)
	}
	from = min(offset, n)
	if length == nil {
		return from, n
	}
	size := c.int(at)
	if size < 0 {
		return from, max(n+max(size, -n), from)
	}
	return from, from + min(size, n-from)
}

func (c *callee) substr() value {
	s := c.text(0)
	from, to := c.span(len(s), max(c.int(1), -len(s)), c.arg(2), 2)
	return s[from:to]
}

// implode takes the separator and the array in this order, or the array alone.
func (c *callee) implode() value {
	separator, at := "", 0
	if c.has(1) {
		separator, at = c.text(0), 1
	}
	parts := c.texts(at)
	size := len(separator) * len(parts)
	for _, s := range parts {
		size += len(s)
	}
	if !c.spend(size, 0) {
		return nil
	}
	return strings.Join(parts, separator)
}

func (c *callee) explode() value {
	separator, s, limit := c.text(0), c.text(1), c.intOr(2, many)
	switch {
	case separator == "":
		return c.fail("nothing to cut at")
	case !c.spend(0, strings.Count(s, separator)+1):
		return nil
	case limit == 0:
		limit = 1
	case limit > 0:
		limit = min(limit, len(s)+1)
	}
	if limit > 0 {
		return stringList(strings.SplitN(s, separator, limit))
	}
	parts := strings.Split(s, separator)
	return stringList(parts[:max(0, len(parts)+max(limit, -len(parts)))])
}

func (c *callee) split() value {
	s, size := c.text(0), c.intOr(1, 1)
	if size < 1 {
		return c.fail("%d octets are no part", size)
	}
	if !c.spend(0, len(s)/size+1) {
		return nil
	}
	out := list()
	for s != "" {
		part := s[:min(size, len(s))]
		out.append(part)
		s = s[len(part):]
	}
	return out
}
