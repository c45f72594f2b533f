package yolo

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Limits of class names from a file.
const (
	maxNamesText = 256 << 10 // bytes
	maxName      = 64        // bytes
)

// ParseNames reads class names as exporters write them: a Python dictionary
// such as {0: 'person', 1: "hot dog"} with each number from 0 once.
func ParseNames(text string) ([]string, error) {
	if len(text) > maxNamesText {
		return nil, errors.New("more than 256 KiB of text")
	}
	p := &literal{rest: text}
	if !p.take('{') {
		return nil, errors.New(`not a dictionary like {0: 'bird', 1: 'cat'}`)
	}
	byNumber := map[int]string{}
	for !p.take('}') {
		if len(byNumber) > 0 {
			if !p.take(',') {
				return nil, fmt.Errorf("a comma is missing after class %d", len(byNumber)-1)
			}
			if p.take('}') {
				break
			}
		}
		n, name, err := p.pair()
		if err != nil {
			return nil, err
		}
		if _, doubled := byNumber[n]; doubled || n >= MaxClasses {
			return nil, fmt.Errorf("class %d stands there twice, or is beyond %d", n, MaxClasses-1)
		}
		byNumber[n] = name
	}
	if p.space(); p.rest != "" {
		return nil, errors.New("something follows the dictionary")
	}
	if len(byNumber) == 0 {
		return nil, errors.New("no names")
	}
	names := make([]string, len(byNumber))
	for n, name := range byNumber {
		if n >= len(names) {
			return nil, fmt.Errorf("class %d is there, but not all before it", n)
		}
		names[n] = name
	}
	return names, nil
}

// literal is what is left of a Python literal.
type literal struct{ rest string }

func (p *literal) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

func (p *literal) take(c byte) bool {
	p.space()
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *literal) pair() (int, string, error) {
	p.space()
	digits := len(p.rest) - len(strings.TrimLeft(p.rest, "0123456789"))
	n, err := strconv.Atoi(p.rest[:digits])
	if err != nil {
		return 0, "", errors.New("a class has no number")
	}
	p.rest = p.rest[digits:]
	if !p.take(':') {
		return 0, "", fmt.Errorf("class %d has no name", n)
	}
	name, err := p.text()
	if err != nil {
		return 0, "", fmt.Errorf("class %d: %w", n, err)
	}
	return n, name, nil
}

// text is a string in quotes of either kind. Of escapes, those that repr makes
// of ordinary names are understood.
func (p *literal) text() (string, error) {
	p.space()
	if p.rest == "" || p.rest[0] != '\'' && p.rest[0] != '"' {
		return "", errors.New("its name is not in quotes")
	}
	quote := p.rest[0]
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		c := p.rest[i]
		if c == quote {
			p.rest = p.rest[i+1:]
			if b.Len() == 0 {
				return "", errors.New("its name is empty")
			}
			return strings.ToValidUTF8(b.String(), "\uFFFD"), nil
		}
		if c == '\\' {
			if i++; i == len(p.rest) || !strings.ContainsRune(`\'"`, rune(p.rest[i])) {
				return "", errors.New("its name has an escape that is not understood")
			}
			c = p.rest[i]
		}
		if c < ' ' || b.Len() == maxName {
			return "", fmt.Errorf("its name has control characters or more than %d bytes", maxName)
		}
		b.WriteByte(c)
	}
	return "", errors.New("its name has no end")
}
