//! Draws QR codes as pictures. Knows nothing of what they say.

use fast_qr::qr::QRBuilder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};

use crate::http::problem::Problem;

/// Pixels of one module: phones read it from a screen at arm's length.
const MODULE_PIXELS: usize = 6;
/// White around the code, modules (ISO 18004 asks for four).
const QUIET_MODULES: usize = 4;
const WHITE: u8 = 255;

/// The code as a black and white PNG.
///
/// # Errors
/// The text is longer than a QR code can be.
pub(super) fn png(text: &str) -> Result<Vec<u8>, Problem> {
    let too_long = || {
        let detail = "the vendor's code does not fit into a QR code; link the phone with a pairing code";
        Problem::refused("qr_too_long", detail)
    };
    let code = QRBuilder::new(text).build().map_err(|_| too_long())?;
    let side = (code.size + 2 * QUIET_MODULES) * MODULE_PIXELS;
    let mut pixels = vec![WHITE; side * side];
    for (at, pixel) in pixels.iter_mut().enumerate() {
        let module = |at: usize| (at / MODULE_PIXELS).checked_sub(QUIET_MODULES).filter(|it| *it < code.size);
        if let (Some(y), Some(x)) = (module(at / side), module(at % side))
            && code[y][x].value()
        {
            *pixel = 0;
        }
    }
    let side = u32::try_from(side).map_err(|_| too_long())?;
    let mut png = Vec::new();
    let drawn = PngEncoder::new(&mut png).write_image(&pixels, side, side, ExtendedColorType::L8);
    drawn.map_err(|_| too_long())?;
    Ok(png)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_with_its_quiet_zone_and_finders() {
        let Ok(png) = png("2@AbCdEf/longer,than,one,might,think==") else { panic!("not drawn") };
        let picture = image::load_from_memory(&png).unwrap().to_luma8();
        let at = |x: usize, y: usize| {
            let middle = |module: usize| u32::try_from(module * MODULE_PIXELS + MODULE_PIXELS / 2).unwrap();
            picture.get_pixel(middle(x), middle(y)).0[0]
        };
        assert_eq!((at(0, 0), at(QUIET_MODULES - 1, 10)), (WHITE, WHITE));
        // A finder: dark ring, light ring, dark middle.
        let row: Vec<bool> = (0..7).map(|x| at(QUIET_MODULES + x, QUIET_MODULES + 3) == 0).collect();
        assert_eq!(row, [true, false, true, true, true, false, true]);
        assert!(super::png(&"x".repeat(10_000)).is_err());
    }
}
