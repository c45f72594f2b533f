package yolo

import (
	"fmt"
	"slices"
	"strings"
)

// The animals of the COCO data set; the first has id 14. They are found by name,
// so that a model of 80 classes and one of ten are used alike.
var animals = []string{"bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"}

const firstAnimal = 14

// ClassID is the number under which others know a class: COCO's for its animals,
// else the model's own.
func (s *Spec) ClassID(class int) int {
	if i := slices.Index(animals, s.Names[class]); i >= 0 {
		return firstAnimal + i
	}
	return class
}

// Wanted returns which classes a choice means: "animals", "all", or names with
// commas between them. It fails when the model has none of them.
func (s *Spec) Wanted(choice string) ([]bool, error) {
	names := animals
	switch choice {
	case "all":
		names = s.Names
	case "animals":
	default:
		names = strings.Split(choice, ",")
	}
	wanted, any := make([]bool, len(s.Names)), false
	for _, name := range names {
		name = strings.TrimSpace(name)
		i := slices.Index(s.Names, name)
		if i >= 0 {
			wanted[i], any = true, true
		} else if choice != "animals" {
			return nil, fmt.Errorf("%w: it knows no %q; it knows %s", ErrModel, name, s.some())
		}
	}
	if !any {
		return nil, fmt.Errorf("%w: it knows no animals; it knows %s. Say which of them to look for with --classes", ErrModel, s.some())
	}
	return wanted, nil
}

// some is a list of the names for people, not all of a thousand.
func (s *Spec) some() string {
	const most = 20
	if n := len(s.Names); n > most {
		return fmt.Sprintf("%s and %d more", strings.Join(s.Names[:most], ", "), n-most)
	}
	return strings.Join(s.Names, ", ")
}
