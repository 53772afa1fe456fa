//! One spelling: folder = crate = binary = image = Dockerfile suffix = compose service = manifest.

use crate::{files, images, read, recipes};

#[test]
fn every_crate_is_named_as_its_folder() {
    for path in files() {
        let Some(folder) = path.strip_suffix("/Cargo.toml") else {
            continue;
        };
        let name = folder.rsplit('/').next().expect("a folder");
        // A crate of fuzz targets belongs to the crate around it.
        if name != "fuzz" {
            assert!(read(&path).contains(&format!("\nname = \"{name}\"\n")), "{path}");
        }
    }
}

#[test]
fn every_dockerfile_has_an_image() {
    let files = files();
    let dockerfiles = files.iter().filter_map(|path| path.strip_prefix("Dockerfile."));
    let named: Vec<&str> = dockerfiles.filter(|name| !name.starts_with("build")).collect();
    assert_eq!(named, images());
}

#[test]
fn dockerfiles_are_alike_but_for_the_name() {
    for image in images() {
        let text = read(&format!("Dockerfile.{image}"));
        assert!(text.starts_with("# HOW TO USE THIS CONTAINER\n"), "{image}");
        let health = format!("CMD [\"/{image}\", \"healthcheck\"]");
        for line in [
            "FROM scratch".to_owned(),
            "COPY LICENSE /LICENSE".to_owned(),
            format!("COPY dist/{image} /{image}"),
            "USER 65532:65532".to_owned(),
            format!("ENTRYPOINT [\"/{image}\"]"),
            format!("HEALTHCHECK --interval=5s --timeout=3s --retries=3 {health}"),
        ] {
            assert!(text.lines().any(|it| it == line), "Dockerfile.{image} lacks: {line}");
        }
        for word in ["# syntax", "--chmod", "--mount", "RUN "] {
            assert!(!text.contains(word), "Dockerfile.{image} has {word}");
        }
    }
}

#[test]
fn every_image_is_shown_in_a_recipe_and_told_of_in_the_readme() {
    let readme = read("README.md");
    for image in images() {
        // Where there is one beside each instance of an application, they are numbered.
        let services = [format!("\n  {image}:\n"), format!("\n  {image}-0:\n")];
        let shown = recipes().iter().any(|recipe| {
            let text = read(&format!("compose/{recipe}.yml"));
            services.iter().any(|service| text.contains(service))
        });
        assert!(shown, "no recipe has a service {image}");
        assert!(readme.contains(&format!("[`{image}`](images/{image}/README.md)")), "{image}");
        read(&format!("images/{image}/README.md"));
    }
}

#[test]
fn compose_and_kubernetes_have_the_same_recipes() {
    let mut manifests: Vec<String> = files()
        .iter()
        .filter_map(|path| path.strip_prefix("kubernetes/")?.split_once('/'))
        .map(|(recipe, _)| recipe.to_owned())
        .collect();
    manifests.sort();
    manifests.dedup();
    assert_eq!(manifests, recipes());
}
