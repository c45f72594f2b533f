package main

import (
	"fmt"
	"math"

	"glimpse/internal/detect/score"
	"glimpse/internal/detect/yolo"
)

// usual is the score from which detectors tell.
const usual = 0.35

// figures is what is written; shares are 0 to 1.
type figures struct {
	Images       int                   `json:"images"`
	Boxes        int                   `json:"boxes"`
	MAP50        float64               `json:"mAP50"`
	MAP          float64               `json:"mAP50_95"`
	AP50         map[string]float64    `json:"AP50_per_class"`
	AtConfidence map[string][2]float64 `json:"at_conf"`                        // precision, recall
	BySize       map[string][2]float64 `json:"recall_at_0.35_by_sqrt_area_px"` // recall, boxes
	FalseAlarms  [2]float64            `json:"false_alarms_per_image_without_animals_at_0.35"`
	AnyClass     float64               `json:"recall_at_0.35_any_class"`
}

func measure(pictures []score.Picture, names []string) figures {
	f := figures{
		Images: len(pictures), MAP50: round(score.MeanAP(pictures, len(names), 0.5)), MAP: round(score.MeanAPs(pictures, len(names))),
		AP50: map[string]float64{}, AtConfidence: map[string][2]float64{}, BySize: map[string][2]float64{},
	}
	for c, name := range names {
		if ap := score.AP(pictures, c, 0.5); !math.IsNaN(ap) {
			f.AP50[name] = round(ap)
		}
	}
	for _, least := range []float32{0.10, 0.25, usual, 0.45, 0.50} {
		c := score.Count(pictures, least, false)
		f.AtConfidence[fmt.Sprintf("%.2f", least)] = [2]float64{round(c.Precision()), round(c.Recall())}
	}
	for _, size := range []struct {
		name       string
		from, upTo float64
	}{{"<24", 0, 24}, {"24-40", 24, 40}, {"40-90", 40, 90}, {">90", 90, math.Inf(1)}} {
		c := score.Count(only(pictures, size.from, size.upTo), usual, false)
		f.BySize[size.name] = [2]float64{round(c.Recall()), float64(c.Right + c.Missed)}
	}
	empty, alarms := 0, 0
	for _, p := range pictures {
		f.Boxes += len(p.Truth)
		if len(p.Truth) == 0 {
			empty++
			alarms += score.Count([]score.Picture{p}, usual, false).Wrong
		}
	}
	f.FalseAlarms = [2]float64{round(float64(alarms) / float64(max(empty, 1))), float64(empty)}
	f.AnyClass = round(score.Count(pictures, usual, true).Recall())
	return f
}

// only leaves the truths of one size; the others may be found or not.
func only(pictures []score.Picture, from, upTo float64) []score.Picture {
	list := make([]score.Picture, len(pictures))
	for i, p := range pictures {
		list[i].Found = p.Found
		for _, t := range p.Truth {
			if side := math.Sqrt(float64((t.X2 - t.X1) * (t.Y2 - t.Y1))); side >= from && side < upTo {
				list[i].Truth = append(list[i].Truth, t)
			} else {
				list[i].Ignored = append(list[i].Ignored, yolo.Box{Class: t.Class, X1: t.X1, Y1: t.Y1, X2: t.X2, Y2: t.Y2})
			}
		}
	}
	return list
}

func round(v float64) float64 { return math.Round(v*1e4) / 1e4 }
