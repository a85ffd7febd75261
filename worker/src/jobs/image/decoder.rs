//! A decoder's side: a process that decodes one picture after the other and has nothing else to lose.

use super::frames::{Answer, MAX_LINE_BYTES, Request};
use crate::isolate;
use feedfleet_config::Rendition;
use feedfleet_pictures::picture;
use feedfleet_telemetry::{budget, failpoint};
use std::io::{self, BufRead, Read, Write};

/// Decodes the pictures that a worker sends on standard input, until its end, and answers on standard output.
/// Blocking. For each picture the process may hold what the worker says, and aborts past that.
///
/// # Errors
///
/// Standard input or output failed, or the worker sent what makes no sense.
pub fn serve_pictures() -> io::Result<()> {
    isolate::tell_memory_refusals()?;
    serve(&mut io::stdin().lock(), &mut io::stdout().lock())
}

fn serve(input: &mut impl BufRead, output: &mut impl Write) -> io::Result<()> {
    loop {
        let mut line = Vec::new();
        input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        let request: Request = serde_json::from_slice(&line)?;
        budget::set_limit(budget::used_bytes().saturating_add(request.memory_bytes));
        let mut bytes = vec![0; request.size_bytes];
        input.read_exact(&mut bytes)?;
        failpoint::hit(&format!("picture.bytes-{}", request.size_bytes));
        answer(&bytes, request, output)?;
    }
}

fn answer(bytes: &[u8], request: Request, output: &mut impl Write) -> io::Result<()> {
    let renditions: Vec<Rendition> = request.renditions.into_iter().map(Rendition::from).collect();
    let (answer, files) = match picture::process(bytes, &renditions, request.max_pixels) {
        Ok(picture) => {
            let answer = Answer::Picture {
                format: picture.format,
                width: picture.width,
                height: picture.height,
                files_bytes: picture.renditions.iter().map(Vec::len).collect(),
            };
            (answer, picture.renditions)
        }
        Err(error) => (Answer::Refused { reason: error.to_string() }, Vec::new()),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    output.write_all(&line)?;
    for file in files {
        output.write_all(&file)?;
    }
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::super::frames::Wanted;
    use super::*;
    use feedfleet_config::RenditionFormat;
    use feedfleet_pictures::samples::{self, ALL, thumb};

    fn asked(bytes: &[u8], renditions: &[Rendition]) -> Vec<u8> {
        let request = Request {
            size_bytes: bytes.len(),
            memory_bytes: usize::MAX,
            max_pixels: ALL,
            renditions: renditions.iter().map(Wanted::from).collect(),
        };
        let mut frame = serde_json::to_vec(&request).unwrap();
        frame.push(b'\n');
        frame.extend_from_slice(bytes);
        frame
    }

    #[test]
    fn pictures_are_answered_one_after_the_other() {
        let renditions = [thumb(20, RenditionFormat::Png), thumb(10, RenditionFormat::Jpeg)];
        let mut input = asked(&samples::jpeg(64, 32), &renditions);
        input.extend(asked(b"<html>", &renditions));
        input.extend(asked(&samples::gif(5, 6), &[]));
        let mut output = Vec::new();
        serve(&mut input.as_slice(), &mut output).unwrap();

        let mut rest = output.as_slice();
        let Answer::Picture { width: 64, height: 32, files_bytes, .. } = next(&mut rest) else {
            panic!("the first is a picture of its size");
        };
        for (size, longest) in files_bytes.into_iter().zip([20, 10]) {
            let (file, after) = rest.split_at(size);
            assert_eq!(::image::load_from_memory(file).unwrap().width(), longest);
            rest = after;
        }
        let Answer::Refused { reason } = next(&mut rest) else { panic!("it is a page") };
        assert!(reason.contains("HTML page"), "{reason}");
        assert!(matches!(next(&mut rest), Answer::Picture { width: 5, height: 6, .. }));
        assert!(rest.is_empty());
    }

    fn next(rest: &mut &[u8]) -> Answer {
        let mut line = Vec::new();
        rest.read_until(b'\n', &mut line).unwrap();
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn a_request_that_makes_no_sense_ends_the_decoder() {
        assert!(serve(&mut b"what\n".as_slice(), &mut io::sink()).is_err());
        let mut cut = asked(&samples::gif(5, 6), &[]);
        cut.pop();
        assert!(serve(&mut cut.as_slice(), &mut io::sink()).is_err());
        serve(&mut b"".as_slice(), &mut io::sink()).unwrap();
    }
}
