package blade

import (
	"strings"
)

func searchFunctions() map[string]function {
	return map[string]function{
		"strpos":          {2, 3, func(c *callee) value { return c.find(false, strings.Index) }},
		"stripos":         {2, 3, func(c *callee) value { return c.find(true, strings.Index) }},
		"strrpos":         {2, 2, func(c *callee) value { return c.find(false, strings.LastIndex) }},
		"strripos":        {2, 2, func(c *callee) value { return c.find(true, strings.LastIndex) }},
		"str_contains":    {2, 2, func(c *callee) value { return strings.Contains(c.text(0), c.text(1)) }},
		"str_starts_with": {2, 2, func(c *callee) value { return strings.HasPrefix(c.text(0), c.text(1)) }},
		"str_ends_with":   {2, 2, func(c *callee) value { return strings.HasSuffix(c.text(0), c.text(1)) }},
		"strstr":          {2, 3, (*callee).strstr},
		"strrchr":         {2, 2, (*callee).strrchr},
		"substr_count":    {2, 2, (*callee).substrCount},
		"strcmp":          {2, 2, func(c *callee) value { return int64(strings.Compare(c.text(0), c.text(1))) }},
		"strcasecmp":      {2, 2, func(c *callee) value { return c.caseCompare() }},
		"str_replace":     {3, 3, func(c *callee) value { return c.replace() }},
	}
}

// find is where a string is in another from an offset on, or false.
func (c *callee) find(fold bool, index func(s, part string) int) value {
	s, part, from := c.text(0), c.text(1), c.intOr(2, 0)
	if from < 0 {
		from += len(s)
	}
	if from < 0 || from > len(s) {
		return c.fail("the offset is outside of the string")
	}
	if fold {
		s, part = lower(s), lower(part)
	}
	if at := index(s[from:], part); at >= 0 {
		return int64(from + at)
	}
	return false
}

func (c *callee) strstr() value {
	before, found := c.text(0), c.text(1)
	at := strings.Index(before, found)
	switch {
	case at < 0:
		return false
	case c.bool(2):
		return before[:at]
	}
	return before[at:]
}

// strrchr looks for the first octet of its second argument.
func (c *callee) strrchr() value {
	s, part := c.text(0), c.text(1)
	if part == "" {
		part = "\x00"
	}
	at := strings.LastIndexByte(s, part[0])
	if at < 0 {
		return false
	}
	return s[at:]
}

func (c *callee) substrCount() value {
	s, part := c.text(0), c.text(1)
	if part == "" {
		return c.fail("nothing to count")
	}
	return int64(strings.Count(s, part))
}

// caseCompare gives the sign alone.
func (c *callee) caseCompare() value {
	return int64(strings.Compare(lower(c.text(0)), lower(c.text(1))))
}

// replace replaces in a string, or in each string of an array. What is looked for
// may be an array, and then what it is replaced by may be one.
func (c *callee) replace() value {
	old, by := c.replacements()
	subject, ok := c.arg(2).(*array)
	if !ok {
		return c.replaceAll(c.text(2), old, by)
	}
	out := list()
	for i, s := range c.texts(2) {
		out.set(subject.entries[i].key, c.replaceAll(s, old, by))
	}
	return out
}

// replacements are the pairs that the first two arguments mean.
func (c *callee) replacements() (old, by []string) {
	if _, ok := c.arg(0).(*array); !ok {
		return []string{c.text(0)}, []string{c.text(1)}
	}
	old = c.texts(0)
	by = make([]string, len(old))
	if _, ok := c.arg(1).(*array); ok {
		copy(by, c.texts(1))
		return old, by
	}
	for i := range by {
		by[i] = c.text(1)
	}
	return old, by
}

func (c *callee) replaceAll(s string, old, by []string) value {
	for i, part := range old {
		if part == "" {
			continue
		}
		n := strings.Count(s, part)
		if !c.spend(len(s)+n*(len(by[i])-len(part)), 0) {
			return nil
		}
		c.m.steps += 1 + len(s)/64
		if c.m.steps > MaxSteps {
			c.refuse(2, over(tooManySteps, MaxSteps))
			return nil
		}
		s = strings.ReplaceAll(s, part, by[i])
	}
	return s
}
