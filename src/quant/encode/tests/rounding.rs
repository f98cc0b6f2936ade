use super::super::rounding::*;
use super::*;

#[test]
fn rounding_agrees_with_the_standard_library() {
    let mut numbers: Vec<f32> = bell(3, 10_000).iter().map(|x| x * 40.0).collect();
    for whole in -127i8..127 {
        let half = f32::from(whole) + 0.5;
        numbers.extend([f32::from(whole), half, half.next_up(), half.next_down()]);
    }
    for x in numbers {
        assert_eq!(nearest(x), x.round_ties_even(), "{x}");
        assert_eq!(nearest_level(x), x.round_ties_even() as i32, "{x}");
        assert_eq!(away_from_zero(x), x.round() as i8, "{x}");
    }
}

#[test]
fn half_precision_never_becomes_infinite_where_it_must_not() {
    assert_eq!(through_half(1e9), 65504.0);
    assert_eq!(through_half(f32::MIN), -65504.0);
    assert_eq!(through_half(0.1), half::f16::from_f32_const(0.1).to_f32_const());
    assert_eq!(half_bytes(1e9), half::f16::INFINITY.to_le_bytes());
    assert!(half::f16::from_le_bytes(half_bytes(f32::NAN)).is_nan());
}
