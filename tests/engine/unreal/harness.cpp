// The plugin's engine-free files behind a line protocol, for test_axes.py. Numbers in, numbers out.
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "RenderliftAxes.h"
#include "RenderliftNames.h"
#include "RenderliftStencils.h"

namespace
{
	RenderliftAxes::FUnrealView ReadView()
	{
		RenderliftAxes::FUnrealView View;
		for (auto* Vector : {&View.Right, &View.Up, &View.Forward, &View.LocationCm})
		{
			for (double& Element : *Vector)
			{
				std::cin >> Element;
			}
		}
		std::cin >> View.Projection00 >> View.Projection11 >> View.Projection20 >> View.Projection21 >> View.Projection22
			>> View.Projection32 >> View.Width >> View.Height >> View.Shrink;
		return View;
	}

	template <class T>
	void Print(const T& Values)
	{
		for (const auto& Value : Values)
		{
			std::printf("%.17g ", double(Value));
		}
	}
}

int main()
{
	std::string Command;
	FRenderliftStencils Stencils;
	while (std::cin >> Command)
	{
		if (Command == "view")
		{
			const auto View = ReadView();
			const auto Depth = RenderliftAxes::DepthFromDevice(View);
			Print(RenderliftAxes::WorldFromCamera(View));
			Print(RenderliftAxes::ImageFromCamera(View));
			Print(RenderliftAxes::CameraFromUnrealWorld(View));
			Print(std::vector<double>{Depth.Numerator, Depth.Offset});
			Print(RenderliftAxes::FrameSize(View));
		}
		else if (Command == "previous")
		{
			const auto Before = ReadView();
			const auto Now = ReadView();
			Print(RenderliftAxes::PreviousFromImage(RenderliftAxes::WorldFromCamera(Before),
				RenderliftAxes::ImageFromCamera(Before), RenderliftAxes::WorldFromCamera(Now),
				RenderliftAxes::ImageFromCamera(Now)));
		}
		else if (Command == "shrink")
		{
			int Width = 0;
			int MaxWidth = 0;
			std::cin >> Width >> MaxWidth;
			std::printf("%d", RenderliftAxes::ShrinkTo(Width, MaxWidth));
		}
		else if (Command == "deal")
		{
			std::size_t Count = 0;
			std::cin >> Count;
			std::vector<FRenderliftIds> Instances(Count);
			for (FRenderliftIds& Ids : Instances)
			{
				std::cin >> Ids.Class >> Ids.Instance;
			}
			Stencils.Deal(Instances);
			for (const FRenderliftIds& Ids : Instances)
			{
				const int Value = Stencils.ValueOf(Ids.Instance);
				std::printf("%d %u %u ", Value, Stencils.Table()[Value].Class, Stencils.Table()[Value].Instance);
			}
			std::printf("%zu", Stencils.CountUnlabelled());
		}
		else if (Command == "name")
		{
			std::string Name;
			std::cin >> Name;
			std::printf("%s", RenderliftNames::ClassOfName(Name).c_str());
		}
		std::printf("\n");
		std::fflush(stdout);
	}
}
