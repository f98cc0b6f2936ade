//! Where the labels of a plot's points go, so that all can be read. In pixels, downwards.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rect {
    pub left: i32,
    pub top: i32,
    pub right: i32,
    pub bottom: i32,
}

impl Rect {
    fn around((x, y): (i32, i32), distance: i32) -> Self {
        Self { left: x - distance, top: y - distance, right: x + distance, bottom: y + distance }
    }

    fn area(&self) -> i64 {
        i64::from((self.right - self.left).max(0)) * i64::from((self.bottom - self.top).max(0))
    }

    /// The area that both cover.
    fn overlap(&self, other: &Self) -> i64 {
        Self {
            left: self.left.max(other.left),
            top: self.top.max(other.top),
            right: self.right.min(other.right),
            bottom: self.bottom.min(other.bottom),
        }
        .area()
    }

    /// The point of it that is nearest to another.
    pub fn nearest(&self, (x, y): (i32, i32)) -> (i32, i32) {
        (x.clamp(self.left, self.right), y.clamp(self.top, self.bottom))
    }
}

/// A label's place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub rect: Rect,
    /// The point it belongs to.
    pub point: (i32, i32),
    /// How far away it is, in heights of its own. From 1 on it takes a line between them.
    pub distance: i64,
}

/// Finds places for points' labels, of width and height `sizes`, inside `frame`: near the points (drawn with `radius`),
/// hiding none of them, no other label and no obstacle, or else as little as can be found.
pub(super) fn place(
    frame: Rect,
    points: &[(i32, i32)],
    sizes: &[(i32, i32)],
    obstacles: &[Rect],
    radius: i32,
) -> Vec<Place> {
    const TRIES: usize = 100;
    let marks = points.iter().map(|&point| Rect::around(point, radius));
    let taken: Vec<Rect> = obstacles.iter().copied().chain(marks).collect();
    // Whoever comes first takes the best place. A good order is found by trying; the same one each time.
    let mut random = Pcg64Mcg::seed_from_u64(1);
    let mut order: Vec<usize> = (0..points.len()).collect();
    let mut best: Option<((i64, i64), Vec<Place>)> = None;
    for _ in 0..TRIES {
        let (mut cost, mut places) = ((0, 0), Vec::new());
        for &index in &order {
            let priced = candidates(points[index], sizes[index], radius)
                .map(|place| (hidden(&place, &places, &taken, frame, radius), place));
            // Of equals the first, which is the nearest.
            if let Some((hidden, place)) = priced.min_by_key(|(hidden, _)| *hidden) {
                cost = (cost.0 + hidden, cost.1 + place.distance);
                places.push(place);
            }
        }
        if best.as_ref().is_none_or(|best| cost < best.0) {
            let mut placed: Vec<_> = order.iter().zip(places).collect();
            placed.sort_by_key(|(index, _)| **index);
            best = Some((cost, placed.into_iter().map(|(_, place)| place).collect()));
        }
        for last in (1..order.len()).rev() {
            order.swap(last, (random.next_u64() % (last as u64 + 1)) as usize);
        }
    }
    best.map(|best| best.1).unwrap_or_default()
}

/// Of some places for something else than a point's label, the first of those that hide least.
pub(super) fn least_hidden(candidates: impl Iterator<Item = Rect>, points: &[(i32, i32)], radius: i32) -> Option<Rect> {
    let hidden = |rect: &Rect| points.iter().map(|&point| Rect::around(point, radius).overlap(rect)).sum::<i64>();
    candidates.min_by_key(hidden)
}

/// Places around a point, nearest first: beside it, above and below, at the corners.
fn candidates(point: (i32, i32), (width, height): (i32, i32), radius: i32) -> impl Iterator<Item = Place> {
    const RINGS: i32 = 8;
    const DIRECTIONS: [(i32, i32); 8] = [(1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1)];
    let beside = move |at: i32, direction: i32, gap: i32, length: i32| match direction {
        -1 => at - gap - length,
        0 => at - length / 2,
        _ => at + gap,
    };
    (0..RINGS).flat_map(move |ring| {
        let gap = radius + radius / 2 + ring * height;
        DIRECTIONS.into_iter().map(move |(dx, dy)| {
            let (left, top) = (beside(point.0, dx, gap, width), beside(point.1, dy, gap, height));
            let rect = Rect { left, top, right: left + width, bottom: top + height };
            Place { rect, point, distance: ring.into() }
        })
    })
}

/// About the area that a label and its line would hide, be hidden on, or have outside the frame. Letters over letters
/// cannot be read, lines over points can.
fn hidden(place: &Place, others: &[Place], taken: &[Rect], frame: Rect, radius: i32) -> i64 {
    const LETTERS: i64 = 16;
    let own_mark = Rect::around(place.point, radius);
    let outside = place.rect.area() - place.rect.overlap(&frame);
    let labels = taken.iter().chain(others.iter().map(|other| &other.rect));
    let under_label: i64 = labels.map(|rect| rect.overlap(&place.rect)).sum();
    let marks = taken.iter().filter(|rect| **rect != own_mark);
    let under_line: i64 = marks.map(|rect| place.line_over(rect, radius)).sum();
    let crossing = |other: &Place| place.line_over(&other.rect, radius) + other.line_over(&place.rect, radius);
    (outside + under_label) * LETTERS + under_line + others.iter().map(crossing).sum::<i64>()
}

impl Place {
    pub fn is_far(&self) -> bool {
        self.distance > 0
    }

    /// What the line between label and point hides of a rectangle, drawn with the width `radius`.
    fn line_over(&self, rect: &Rect, radius: i32) -> i64 {
        const STEPS: i32 = 32;
        if !self.is_far() {
            return 0;
        }
        let (start, end) = (self.point, self.rect.nearest(self.point));
        let at = |i: i32| (start.0 + (end.0 - start.0) * i / STEPS, start.1 + (end.1 - start.1) * i / STEPS);
        (0..=STEPS).map(|i| Rect::around(at(i), radius / 2).overlap(rect)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Rect = Rect { left: 0, top: 0, right: 800, bottom: 500 };
    const SIZE: (i32, i32) = (50, 16);
    const RADIUS: i32 = 5;

    fn overlaps(places: &[Place], points: &[(i32, i32)], obstacles: &[Rect]) -> i64 {
        let mut rects: Vec<Rect> = places.iter().map(|place| place.rect).collect();
        rects.extend(points.iter().map(|&point| Rect::around(point, RADIUS)));
        rects.extend(obstacles);
        let labels = 0..places.len();
        labels.flat_map(|i| (i + 1..rects.len()).map(move |j| (i, j))).map(|(i, j)| rects[i].overlap(&rects[j])).sum()
    }

    #[test]
    fn a_lone_label_stands_beside_its_point() {
        let places = place(FRAME, &[(400, 250)], &[SIZE], &[], RADIUS);
        assert_eq!(places[0].rect, Rect { left: 407, top: 242, right: 457, bottom: 258 });
        assert!(!places[0].is_far());
    }

    #[test]
    fn labels_of_crowded_points_hide_nothing() {
        let points: Vec<_> = (0..12).map(|i| (400 + 4 * i, 250 + 3 * (i % 5))).collect();
        let line = Rect { left: 0, top: 239, right: 800, bottom: 241 };
        let places = place(FRAME, &points, &[SIZE; 12], &[line], RADIUS);
        assert_eq!(places.len(), 12);
        assert_eq!(overlaps(&places, &points, &[line]), 0);
        assert!(places.iter().any(|place| place.is_far()));
    }

    #[test]
    fn something_else_goes_where_no_point_is() {
        let at = |left: i32| Rect { left, top: 0, right: left + 50, bottom: 16 };
        let chosen = least_hidden([at(0), at(100), at(200)].into_iter(), &[(10, 8), (300, 8)], RADIUS);
        assert_eq!(chosen, Some(at(100)));
    }

    #[test]
    fn labels_stay_inside_the_frame() {
        for point in [(0, 0), (800, 0), (0, 500), (800, 500), (799, 250)] {
            let rect = place(FRAME, &[point], &[SIZE], &[], RADIUS)[0].rect;
            assert_eq!(rect.overlap(&FRAME), rect.area(), "{point:?}");
        }
    }
}
